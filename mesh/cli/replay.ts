import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { RunFailure } from '#local/supervisor/failure.ts'
import type { AdminAnswer, AskAdmin } from '#mesh/admin/ask.ts'
import { type AdminOptions, type Admins, adminNamed, adminsOf, fineBody, withAdminOptions } from './admins.ts'
import { exitCodes, UsageError } from './exit.ts'
import { print } from './output.ts'

type ReplayOptions = AdminOptions & {
  readonly from?: readonly string[]
  readonly topic?: string
  readonly cancel?: boolean
  readonly wait: boolean
}

/** How a replay stands, in the words of the service. */
type ReplayStatus = {
  readonly state: 'none' | 'running' | 'done' | 'cancelled'
  readonly generation?: number
  readonly from?: string
  readonly rebuiltFrom?: string
  readonly partitions?: readonly { readonly next: string; readonly end: string }[]
}

/** `parley replay SERVICE`: rebuilds what a stream processor knows from its topics, beside the old until it has come as far. */
export function replayCommand(program: Command, admins: (options: AdminOptions) => Promise<Admins> = adminsOf): void {
  withAdminOptions(program.command('replay'))
    .usage('[options] <service>')
    .argument('[service]', 'before or after the options')
    .description('rebuild the state of a stream processor from its topics; without --from: how far its last replay is')
    .option('--from <point...>', 'beginning, a time such as 2026-11-21T09:30:00Z, or offset N')
    .option('--topic <name>', 'of which topic the offset is; all that the service reads are replayed')
    .option('--cancel', 'give up the replay under way')
    .option('--no-wait', 'return once it has begun')
    .action(async (service: string | undefined, options: ReplayOptions) => {
      const { name, from } = toldApart(service, options.from)
      const done = await replay(await admins(options), name, { ...options, ...(from && { from }) }, print)
      if (!done) process.exitCode = exitCodes.failed
    })
}

/** `--from` takes all words up to the next option: those that are no longer of the point name the service. */
function toldApart(
  service: string | undefined,
  from: readonly string[] | undefined,
): { readonly name: string; readonly from: readonly string[] | undefined } {
  const words = from?.[0] === 'offset' ? 2 : 1
  const [name, ...more] = [service ?? [], from?.slice(words) ?? []].flat()
  if (name === undefined) throw new UsageError('Say which service is to be rebuilt: parley replay SERVICE.')
  if (more.length > 0)
    throw new UsageError(`One service at a time can be rebuilt, not ${[name, ...more].join(' and ')}.`)
  return { name, from: from?.slice(0, words) }
}

/** Does what the options say, and tells. False where the replay did not come to its end. */
export async function replay(
  admins: Admins,
  service: string,
  { from, topic, cancel = false, wait = true }: Partial<ReplayOptions>,
  tell: (line: string) => void,
  everyMs = 500,
  patienceMs = 60_000,
): Promise<boolean> {
  const ask = adminNamed(admins, service)
  if (cancel && from) throw new UsageError('Say --from or --cancel, not both.')
  if (cancel) {
    expectFine(service, await ask('POST', '/replay/cancel', {}))
    tell(`The replay of ${service} is given up; what it had is thrown away.`)
    return true
  }
  if (!from) {
    tell(statusText(service, await statusOf(service, ask)))
    return true
  }
  const body = { from: from.join(' '), ...(topic !== undefined && { topic }) }
  const begun = expectFine(service, await ask('POST', '/replay', body))
  tell(`${service} is rebuilt from ${begun.from}, as generation ${begun.generation}; what it knew is read until then.`)
  return wait ? follow({ service, ask, tell, everyMs, patienceMs }, Number(begun.generation)) : true
}

type Followed = {
  readonly service: string
  readonly ask: AskAdmin
  readonly tell: (line: string) => void
  readonly everyMs: number
  /** How long the service may be away: its replay outlives it. */
  readonly patienceMs: number
}

async function follow({ service, ask, tell, everyMs, patienceMs }: Followed, generation: number): Promise<boolean> {
  let answeredMs = performance.now()
  for (let told = ''; ; await sleep(everyMs)) {
    const status = await statusOf(service, ask).catch((error: unknown) => {
      if (!(error instanceof RunFailure) || performance.now() - answeredMs > patienceMs) throw error
      return undefined
    })
    const ended = status !== undefined && (status.state !== 'running' || status.generation !== generation)
    const text = status ? statusText(service, status) : `${service} does not answer now; its replay goes on with it.`
    if (text !== told) tell(text)
    told = text
    if (ended) return status.state === 'done' && status.generation === generation
    if (status) answeredMs = performance.now()
  }
}

async function statusOf(service: string, ask: AskAdmin): Promise<ReplayStatus> {
  return expectFine(service, await ask('GET', '/replay')) as unknown as ReplayStatus
}

function statusText(service: string, { state, from, rebuiltFrom, partitions = [] }: ReplayStatus): string {
  const left = partitions.reduce((sum, { next, end }) => sum + Math.max(0, Number(end) - Number(next)), 0)
  switch (state) {
    case 'none':
      return `${service} was never rebuilt.`
    case 'running':
      return `${left} records to go.`
    case 'cancelled':
      return `The replay of ${service} from ${from} was given up.`
    case 'done':
      return rebuiltFrom === from
        ? `${service} was rebuilt from ${from}.`
        : `${service} was rebuilt from ${rebuiltFrom}: the log no longer holds all of what is older, so that stayed as it was.`
  }
}

function expectFine(service: string, answer: AdminAnswer): Readonly<Record<string, unknown>> {
  if (answer.status !== 404) return fineBody(answer)
  throw new UsageError(`${service} has no stream processor, so there is nothing to rebuild.`)
}
