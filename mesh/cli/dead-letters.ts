import { RunFailure } from '#local/supervisor/failure.ts'
import type { AdminAnswer, AskAdmin } from '#mesh/admin/ask.ts'
import { type Admins, adminNamed, adminsNamed, refusalIn } from './admins.ts'
import { UsageError } from './exit.ts'

/** A dead letter as its owner lists it. */
export type Letter = {
  readonly service: string
  readonly number: string
  readonly eventId: string
  readonly type: string | null
  readonly destination: string
  readonly consumer: string
  readonly key: string | null
  readonly code: string
  readonly reason: string
  readonly attempts: number
  readonly diedAt: string
  readonly state: string
  readonly note: string
  readonly traceId: string | null
  readonly correlationId: string | null
}

/** What is listed: of one service or all, of one topic or queue or all, in one state. */
export type LetterFilter = { readonly service?: string; readonly destination?: string; readonly state?: string }

/** How many wait where. */
export type LetterCount = {
  readonly service: string
  readonly destination: string
  readonly count: number
  readonly oldest: string
}

/** A service that could not be asked to the end, and why. */
export type Unfinished = { readonly service: string; readonly reason: string }

/** The dead letters of a system, and of whom nothing could be learnt. */
export type LetterList = {
  readonly counts: readonly LetterCount[]
  readonly letters: readonly Letter[]
  /** There are more than are listed. */
  readonly more: boolean
  readonly unknown: readonly Unfinished[]
}

type LetterPage = {
  readonly counts: readonly Omit<LetterCount, 'service'>[]
  readonly letters: readonly Omit<Letter, 'service'>[]
  readonly next: string | null
}

const pageMax = 100

/** Asks every service for its dead letters. One that handles no messages has none; one that cannot tell is named, and the others are heard. */
export async function listLetters(admins: Admins, filter: LetterFilter): Promise<LetterList> {
  const { destination, state = 'waiting' } = filter
  const query = new URLSearchParams({ limit: String(pageMax), state, ...(destination && { destination }) })
  const asked = [...adminsNamed(admins, filter.service)].map(async ([service, ask]) => {
    try {
      return { service, page: await pageOf(ask, query) }
    } catch (error) {
      if (!(error instanceof RunFailure)) throw error
      return { service, reason: error.message }
    }
  })
  const answers = await Promise.all(asked)
  const pages = answers.flatMap(({ service, page }) => (page ? [{ service, ...page }] : []))
  return {
    counts: pages.flatMap(({ service, counts }) => counts.map((count) => ({ service, ...count }))),
    letters: pages.flatMap(({ service, letters }) => letters.map((letter) => ({ service, ...letter }))),
    more: pages.some(({ next }) => next !== null),
    unknown: answers.flatMap(({ service, reason }) => (reason === undefined ? [] : [{ service, reason }])),
  }
}

async function pageOf(ask: AskAdmin, query: URLSearchParams): Promise<LetterPage> {
  const answer = await ask('GET', `/dead-letters?${query}`)
  if (offersNone(answer, 'letters')) return { counts: [], letters: [], next: null }
  return expectFine(answer) as unknown as LetterPage
}

/** Everything about one: `notifications/12`. */
export async function showLetter(admins: Admins, id: string): Promise<Readonly<Record<string, unknown>>> {
  const { ask, number } = addressed(admins, id)
  return expectFine(await ask('GET', `/dead-letters/${number}`))
}

/** What came of one letter of a replay. */
export type Outcome = {
  readonly service: string
  readonly number: string
  readonly eventId: string
  readonly outcome: 'handled' | 'repeat' | 'failed' | 'busy'
  readonly reason?: string
}

type Replayed = { readonly outcomes: readonly Omit<Outcome, 'service'>[]; readonly next: string | null }

/** Replays some, and what waited behind each; each outcome is told as it comes. One that came along with another is not asked for again. */
export async function replayNamed(
  admins: Admins,
  ids: readonly string[],
  tell: (outcome: Outcome) => void,
): Promise<void> {
  const told = new Set<string>()
  for (const id of ids) {
    if (told.has(id)) continue
    await replayLetter(admins, id, (outcome) => {
      told.add(`${outcome.service}/${outcome.number}`)
      tell(outcome)
    })
  }
}

async function replayLetter(admins: Admins, id: string, tell: (outcome: Outcome) => void): Promise<void> {
  const { service, ask, number } = addressed(admins, id)
  for (let next: string | null = number; next !== null; ) {
    const replayed = expectFine(await ask('POST', `/dead-letters/${next}/replay`), 'outcomes') as unknown as Replayed
    for (const outcome of replayed.outcomes) tell({ service, ...outcome })
    next = replayed.next
  }
}

/**
 * Replays all of one service or of every, of one topic or queue or of all. A service that is down or cannot do it does not
 * keep the others from theirs: it is answered at the end.
 */
export async function replayLetters(
  admins: Admins,
  { service: wanted, destination }: LetterFilter,
  tell: (outcome: Outcome) => void,
): Promise<Unfinished[]> {
  const unfinished: Unfinished[] = []
  for (const [service, ask] of adminsNamed(admins, wanted)) {
    try {
      await replayOfService(ask, destination, (outcome) => tell({ service, ...outcome }))
    } catch (error) {
      if (!(error instanceof RunFailure)) throw error
      unfinished.push({ service, reason: error.message })
    }
  }
  return unfinished
}

async function replayOfService(
  ask: AskAdmin,
  destination: string | undefined,
  tell: (outcome: Omit<Outcome, 'service'>) => void,
): Promise<void> {
  for (let after: string | null = '0'; after !== null; ) {
    const answer: AdminAnswer = await ask('POST', '/dead-letters/replay', { after, destination })
    if (offersNone(answer, 'outcomes')) return
    const replayed = expectFine(answer) as unknown as Replayed
    for (const outcome of replayed.outcomes) tell(outcome)
    after = replayed.next
  }
}

/** Discards one for a reason; answers the next of its key, which waits still. */
export async function discardLetter(admins: Admins, id: string, reason: string): Promise<string | null> {
  const { service, ask, number } = addressed(admins, id)
  const { next } = expectFine(await ask('POST', `/dead-letters/${number}/discard`, { reason }))
  return typeof next === 'string' ? `${service}/${next}` : null
}

function addressed(admins: Admins, id: string): { service: string; ask: AskAdmin; number: string } {
  const [service = '', number = '', ...rest] = id.split('/')
  if (!/^\d+$/.test(number) || rest.length > 0) {
    throw new UsageError(`${id} is no dead letter: it is named like notifications/12, see bin/parley dlq list.`)
  }
  return { service, ask: adminNamed(admins, service), number }
}

/** A service that handles no messages, or one in another language, which may answer whatever it is asked. */
function offersNone({ status, body }: AdminAnswer, wanted: string): boolean {
  return status === 404 || (status === 200 && !Array.isArray(body[wanted]))
}

/** Whatever keeps a letter as it is is a failure of the run: what was asked is about what is there now. */
function expectFine(answer: AdminAnswer, wanted?: string): Readonly<Record<string, unknown>> {
  const { status, body } = answer
  if (status === 200 && (wanted === undefined || Array.isArray(body[wanted]))) return body
  throw new RunFailure(refusalIn(answer).message)
}
