import { type Command, Option } from 'commander'
import { type AdminOptions, adminsOf, withAdminOptions } from './admins.ts'
import {
  discardLetter,
  type Letter,
  type LetterFilter,
  type LetterList,
  listLetters,
  type Outcome,
  replayLetters,
  replayNamed,
  showLetter,
} from './dead-letters.ts'
import { exitCodes, UsageError } from './exit.ts'
import { print } from './output.ts'
import { table } from './table.ts'

const reasonWidthMax = 60
const letterStates = ['waiting', 'replayed', 'discarded', 'all']

/** `parley dlq list | show | replay | discard`: what could not be handled, why, and what is done about it. */
export function dlqCommand(program: Command): void {
  const dlq = program.command('dlq').description('list, read, replay and discard dead letters, of topics and of queues')
  withAdminOptions(dlq.command('list [service]'))
    .description('what waits for a decision, and why')
    .option('--destination <name>', 'of this topic or queue alone')
    .addOption(new Option('--status <status>', 'in which state').choices(letterStates).default('waiting'))
    .option('--json', 'print it as JSON')
    .action(async (service: string | undefined, options: ListOptions) => {
      const { status: state, destination } = options
      const list = await listLetters(await adminsOf(options), filterOf({ service, destination, state }))
      print(options.json ? JSON.stringify(list, null, 2) : letterListText(list, state))
      if (list.unknown.length > 0) process.exitCode = exitCodes.failed
    })
  withAdminOptions(dlq.command('show <letter>'))
    .description('one dead letter, such as notifications/12: its headers, its message, why it died')
    .action(async (id: string, options: AdminOptions) => {
      print(JSON.stringify(await showLetter(await adminsOf(options), id), null, 2))
    })
  withAdminOptions(dlq.command('replay [letters...]'))
    .description('handle dead letters now, in the service that failed; what waited behind one of them follows')
    .option('--all', 'every one that waits')
    .option('--service <name>', 'with --all: of this service alone')
    .option('--destination <name>', 'with --all: of this topic or queue alone')
    .action(replay)
  withAdminOptions(dlq.command('discard <letters...>'))
    .description('decide that dead letters are not handled; the reason is kept')
    .requiredOption('--reason <text>', 'why')
    .action(async (ids: string[], { reason, ...options }: AdminOptions & { reason: string }) => {
      const admins = await adminsOf(options)
      for (const id of ids) {
        const next = await discardLetter(admins, id, reason)
        print(`${id} is discarded.${next ? ` ${next} of its key waits next: replay or discard it.` : ''}`)
      }
    })
}

type ListOptions = AdminOptions & { readonly destination?: string; readonly status: string; readonly json?: boolean }
type ReplayOptions = AdminOptions & { readonly all?: boolean; readonly service?: string; readonly destination?: string }

async function replay(ids: string[], options: ReplayOptions): Promise<void> {
  const named = ids.length > 0
  if (named === (options.all ?? false)) throw new UsageError('Name the dead letters, or say --all.')
  const admins = await adminsOf(options)
  const counts = { handled: 0, repeat: 0, failed: 0, busy: 0 } satisfies Record<Outcome['outcome'], number>
  const tell = (outcome: Outcome) => {
    counts[outcome.outcome] += 1
    print(outcomeText(outcome))
  }
  const unfinished = options.all ? await replayLetters(admins, filterOf(options), tell) : []
  await replayNamed(admins, ids, tell)
  print(`${counts.handled + counts.repeat} handled, ${counts.failed} failed again, ${counts.busy} under way elsewhere.`)
  for (const { service, reason } of unfinished) print(`Not all of ${service} was replayed: ${reason}`)
  if (counts.failed > 0 || unfinished.length > 0) process.exitCode = exitCodes.failed
}

function filterOf(given: { [K in keyof LetterFilter]: string | undefined }): LetterFilter {
  const { service, destination, state } = given
  return { ...(service && { service }), ...(destination && { destination }), ...(state && { state }) }
}

function outcomeText({ service, number, outcome, reason }: Outcome): string {
  const words = {
    handled: 'handled',
    repeat: 'had been handled already',
    failed: `failed again: ${reason}`,
    busy: `is not replayed: ${reason}`,
  } satisfies Record<Outcome['outcome'], string>
  return `${service}/${number} ${words[outcome]}`
}

/** Dead letters of a state, or `all`, as a table; above it what waits, which is what somebody has to decide on. */
export function letterListText({ counts, letters, more, unknown }: LetterList, state: string): string {
  const total = counts.reduce((sum, { count }) => sum + count, 0)
  const where = counts.map(({ service, destination, count }) => `${count} of ${destination} at ${service}`)
  const none = unknown.length > 0 ? 'None waits at those that could be asked.' : 'No dead letter waits.'
  const waiting = total === 0 ? none : `${total} wait: ${where.join(', ')}.`
  const settled = letters.length === 0 ? `None is ${state}.` : `These are ${state}:`
  const lines = [state === 'waiting' || state === 'all' ? waiting : `${waiting} ${settled}`]
  if (letters.length > 0) {
    const header = ['LETTER', 'FROM', 'TYPE', 'KEY', 'CODE', 'ATTEMPTS', 'DIED', 'TRACE', 'CORRELATION', 'REASON']
    lines.push('', ...table([header, ...letters.map((letter) => row(letter, state))]))
  }
  if (more) lines.push('', 'There are more: narrow it by a service, or --destination.')
  for (const { service, reason } of unknown) lines.push('', `Nothing is known of ${service}: ${reason}`)
  return lines.join('\n')
}

function row(letter: Letter, state: string): string[] {
  const { service, number, destination, type, key, code, attempts, diedAt, traceId, correlationId } = letter
  const reason = letter.state === 'discarded' ? `discarded: ${letter.note}` : letter.reason
  const told = state === 'all' && letter.state === 'replayed' ? `replayed; was: ${reason}` : reason
  return [
    ...[`${service}/${number}`, destination, type?.split('.').at(-1) ?? '-', key ?? '-', code, String(attempts)],
    ...[
      diedAt.slice(0, 19),
      traceId ?? '-',
      correlationId ?? '-',
      told.replaceAll(/\s+/g, ' ').slice(0, reasonWidthMax),
    ],
  ]
}
