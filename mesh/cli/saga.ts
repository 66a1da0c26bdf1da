import type { Command } from 'commander'
import { RunFailure } from '#local/supervisor/failure.ts'
import type { AskAdmin } from '#mesh/admin/ask.ts'
import { type AdminOptions, adminsOf, planOf, refusalIn, withAdminOptions } from './admins.ts'
import { UsageError } from './exit.ts'
import { print } from './output.ts'
import { type SagaStory, type SagaSummary, sagaStoryText, sagaTable } from './saga-text.ts'

type SagaOptions = AdminOptions & { readonly saga?: string; readonly json?: boolean }

/** `parley saga list | show | retry | cancel`: where each saga of a leader stands, and what to do about those that are stuck. */
export function sagaCommand(program: Command): void {
  const saga = program.command('saga').description('sagas by orchestration: where each stands, and what to do about it')
  const verb = (usage: string, description: string) =>
    withAdminOptions(saga.command(usage))
      .description(description)
      .option('--saga <name>', 'which saga (default: all that the system declares)')
  verb('list', 'stuck ones first, then unfinished ones, then the latest')
    .option('--status <status>', 'running, compensating, completed, compensated, stuck or unfinished')
    .option('--json', 'print as JSON')
    .action(async (options: SagaOptions & { status?: string }) => print(await listText(options)))
  verb('show <id>', 'its steps, and all that happened to it')
    .option('--json', 'print as JSON')
    .action(async (id: string, options: SagaOptions) => {
      const story = (await askOne(options, 'GET', id, '')) as SagaStory
      print(options.json ? JSON.stringify(story, null, 2) : sagaStoryText(story))
    })
  verb('retry <id>', 'ask again at once for all that is not answered').action(
    async (id: string, options: SagaOptions) => {
      await askOne(options, 'POST', id, '/retry')
      print(`${id} was asked for again. See how it goes: bin/parley saga show ${id}`)
    },
  )
  verb('cancel <id>', 'turn it back; refused past its point of no return')
    .option('--reason <text>', 'why, for its log and for whoever is told')
    .action(async (id: string, options: SagaOptions & { reason?: string }) => {
      await askOne(options, 'POST', id, '/cancel', options.reason === undefined ? {} : { reason: options.reason })
      print(`${id} turns back. See how it goes: bin/parley saga show ${id}`)
    })
}

/** A saga that a service of the run leads, and the way to ask that service. */
type Led = { readonly name: string; readonly ask: AskAdmin }

async function ledSagas(options: SagaOptions): Promise<Led[]> {
  const [plan, admins] = await Promise.all([planOf(options), adminsOf(options)])
  const all = plan.sagas
    .filter(({ replies }) => replies !== null)
    .map(({ name, owner }) => ({ name, ask: admins.get(owner) ?? refusing(owner) }))
  const chosen = all.filter(({ name }) => options.saga === undefined || name === options.saga)
  if (chosen.length > 0) return chosen
  const known = all.length > 0 ? `There is: ${all.map(({ name }) => name).join(', ')}.` : `${plan.system} leads none.`
  throw new UsageError(`There is no saga by commands${options.saga ? ` named ${options.saga}` : ''}. ${known}`)
}

/** A leader may be in another language, and have no admin address. */
function refusing(owner: string): AskAdmin {
  return async () => {
    throw new RunFailure(`${owner} opens no admin address, so its sagas cannot be seen.`)
  }
}

async function listText(options: SagaOptions & { status?: string }): Promise<string> {
  const query = options.status === undefined ? '' : `?status=${encodeURIComponent(options.status)}`
  const found: SagaSummary[] = []
  let more = false
  for (const { name, ask } of await ledSagas(options)) {
    const answer = await ask('GET', `/sagas/${name}${query}`)
    if (answer.status !== 200 || !Array.isArray(answer.body.sagas)) throw refusalIn(answer)
    found.push(...answer.body.sagas)
    more ||= answer.body.more === true
  }
  if (options.json) return JSON.stringify(found, null, 2)
  return more
    ? `${sagaTable(found)}\n\nThere are more. --status running or --status stuck tells fewer.`
    : sagaTable(found)
}

/** Asks whichever leader knows the saga. */
async function askOne(
  options: SagaOptions,
  verb: 'GET' | 'POST',
  id: string,
  wish: string,
  said: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  let unknown: Error = new UsageError(`There is no saga ${id}. See which there are: bin/parley saga list`)
  for (const { name, ask } of await ledSagas(options)) {
    const answer = await ask(verb, `/sagas/${name}/${encodeURIComponent(id)}${wish}`, said)
    if (answer.status === 200) return answer.body
    if (answer.status !== 404) throw refusalIn(answer)
    unknown = new UsageError(`${refusalIn(answer).message} See which there are: bin/parley saga list`)
  }
  throw unknown
}
