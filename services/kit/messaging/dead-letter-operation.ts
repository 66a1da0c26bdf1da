import { createRegistry, type DescMessage, fromBinary, toJsonString } from '@bufbuild/protobuf'
import { trace } from '@opentelemetry/api'
import type { Operation, OperationRequest, Way } from '../app/operations.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { extractTrace } from '../telemetry/telemetry.ts'
import {
  countDeadLetters,
  type DeadLetterRow,
  type DeadLetterState,
  findDeadLetter,
  firstOfKey,
  listDeadLetters,
  settleDiscard,
} from './dead-letters.ts'
import type { Transactions } from './handling.ts'
import { unpark } from './inbox.ts'
import type { Replayer } from './replay.ts'

const pageMax = 500
const noteLengthMax = 500

/** The ways to ask what an operator may do about a service's dead letters. */
export const deadLetterWays: readonly Way[] = [
  {
    verb: 'GET',
    path: '',
    what: 'those that wait; state=waiting|replayed|discarded|all destination=D after=N limit=N',
  },
  { verb: 'GET', path: 'NUMBER', what: 'one, with headers, payload and decoded message' },
  { verb: 'POST', path: 'NUMBER/replay', what: 'handles it, and what waited behind it' },
  {
    verb: 'POST',
    path: 'replay',
    what: 'handles all, a bounded number at a time; destination=D after=NEXT, as it answered',
  },
  { verb: 'POST', path: 'NUMBER/discard', what: 'gives it up; reason=… is kept as the log of what was decided' },
]

/** What an operator may do about a service's dead letters, under `/dead-letters` of its admin address. */
export function deadLetterOperation(database: Transactions, replayer: Replayer, log: Log): Operation {
  return async (request) => {
    const { verb, path, body } = request
    const [first, second] = path
    if (verb === 'GET' && path.length === 0) return list(database, request)
    if (verb === 'GET' && path.length === 1) return show(database, replayer, numberOf(first))
    if (verb === 'POST' && path.length === 1 && first === 'replay') {
      return replayer.replayAll({ after: numberOf(textOf(body.after) ?? '0'), destination: textOf(body.destination) })
    }
    if (verb === 'POST' && path.length === 2 && second === 'replay') return replayer.replay(numberOf(first))
    if (verb === 'POST' && path.length === 2 && second === 'discard') {
      return discard(database, numberOf(first), textOf(body.reason), log)
    }
    throw new ServiceError('not-found', `Dead letters know no ${verb} /${path.join('/')}.`)
  }
}

async function list(database: Transactions, { query }: OperationRequest): Promise<object> {
  const limit = Math.min(pageMax, Number(numberOf(query.get('limit') ?? '100')))
  const after = numberOf(query.get('after') ?? '0')
  const filter = { state: stateOf(query.get('state')), destination: query.get('destination'), after, limit }
  const letters = await listDeadLetters(database, filter)
  const counts = await countDeadLetters(database)
  const next = letters.length === limit ? letters.at(-1)?.number : undefined
  return { counts, letters: letters.map(summary), next: next === undefined ? null : String(next) }
}

/** As many texts as numbers: JSON has no large ones. */
function summary(letter: DeadLetterRow): object {
  const { number, headers, key, ...rest } = letter
  const traceId = trace.getSpanContext(extractTrace(headers))?.traceId
  const prefix = letter.kind === 'topic' ? 'ce_' : 'cloudEvents:'
  return {
    number: String(number),
    type: headers[`${prefix}type`] ?? null,
    correlationId: headers[`${prefix}correlationid`] ?? null,
    traceId: traceId ?? null,
    key: key === '' ? null : key,
    ...rest,
  }
}

async function show(database: Transactions, replayer: Replayer, number: bigint): Promise<object> {
  const letter = await findDeadLetter(database, number)
  if (!letter) throw new ServiceError('not-found', `There is no dead letter ${number}.`)
  const { payload, ...row } = letter
  const first = await firstOfKey(database, letter)
  return {
    ...summary(row),
    behind: letter.state === 'waiting' && first && first.number !== number ? String(first.number) : null,
    headers: letter.headers,
    payload: payload.toString('base64'),
    ...decoded(replayer.schemaOf(letter), payload),
  }
}

function decoded(schema: DescMessage | undefined, payload: Buffer): { message?: unknown; undecodable?: string } {
  if (!schema) return { undecodable: 'Nothing here knows its type.' }
  try {
    const text = toJsonString(schema, fromBinary(schema, payload), { registry: createRegistry(schema.file) })
    return { message: JSON.parse(text) }
  } catch (thrown) {
    return { undecodable: thrown instanceof Error ? thrown.message : String(thrown) }
  }
}

async function discard(database: Transactions, number: bigint, reason: string | null, log: Log): Promise<object> {
  if (!reason?.trim()) throw new ServiceError('invalid-argument', 'Say why it is discarded: {"reason": "…"}.')
  const note = reason.trim().slice(0, noteLengthMax)
  const letter = await database.transaction(async (tx) => {
    const discarded = await settleDiscard(tx, number, note)
    const { key, consumer, destination } = discarded ?? { key: '', consumer: '', destination: '' }
    if (key !== '') await unpark(tx, consumer, destination, key)
    return discarded
  })
  if (!letter) throw await whyNot(database, number)
  log.warn('A dead letter was discarded.', { number: String(number), ...letter, reason: note })
  const next = await firstOfKey(database, letter)
  return { number: String(number), state: 'discarded', next: next ? String(next.number) : null }
}

async function whyNot(database: Transactions, number: bigint): Promise<ServiceError> {
  const letter = await findDeadLetter(database, number)
  if (!letter) return new ServiceError('not-found', `There is no dead letter ${number}.`)
  const reason = letter.state === 'waiting' ? 'is being replayed just now' : `is ${letter.state} already`
  return new ServiceError('failed-precondition', `The dead letter ${number} ${reason}.`)
}

function numberOf(given: string | undefined): bigint {
  if (given !== undefined && /^\d{1,18}$/.test(given)) return BigInt(given)
  throw new ServiceError('invalid-argument', `${given ?? 'Nothing'} is no number of a dead letter.`)
}

function textOf(given: unknown): string | null {
  return typeof given === 'string' && given !== '' ? given : null
}

function stateOf(given: string | null): DeadLetterState | null {
  switch (given) {
    case null:
    case 'waiting':
      return 'waiting'
    case 'all':
      return null
    case 'replayed':
    case 'discarded':
      return given
    default:
      throw new ServiceError('invalid-argument', `${given} is no state: waiting, replayed, discarded or all.`)
  }
}
