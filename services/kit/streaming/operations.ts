import type { Operation, Way } from '../app/operations.ts'
import { invalidArgument, ServiceError } from '../errors.ts'
import { statement } from '../store/database.ts'
import { closedWindow, type ResultRow, watermarkOf } from './closing.ts'
import { beginReplay, cancelReplay, type ReplayFrom } from './rebuild.ts'
import { generationsOf, pairOf } from './state.ts'
import type { ClosedWindow, Stream } from './stream.ts'

const windowsMax = 1_000
const windowsDefault = 60

/** How `windows` is asked. */
export const windowsWays: readonly Way[] = [
  { verb: 'GET', path: '', what: 'the closed windows, newest first; from=TIME to=TIME (RFC 3339) limit=N' },
]

/** How a replay is asked about: it begins by `parley replay`, which also waits for its end. */
export const replayWays: readonly Way[] = [
  { verb: 'GET', path: '', what: 'how far the last replay is; bin/parley replay SERVICE --from … begins one' },
  { verb: 'POST', path: 'cancel', what: 'gives the replay under way up; what was known before stays' },
]

/**
 * What an operator may ask about a stream's windows: `GET /windows?from=…&to=…&limit=…`, times as RFC 3339, the newest first.
 * `show` puts a window into the service's words. Late events are told beside it: they are counted in no window.
 */
export function windowsOperation(stream: Stream, show: (window: ClosedWindow) => object): Operation {
  return async ({ verb, query }) => {
    if (verb !== 'GET') throw new ServiceError('unimplemented', 'Ask GET /windows?from=…&to=…&limit=….')
    const from = query.has('from') ? timeOf(query.get('from') ?? '', 'from') : 0
    const to = query.has('to') ? timeOf(query.get('to') ?? '', 'to') : Number.MAX_SAFE_INTEGER
    const limit = query.has('limit') ? Number(query.get('limit')) : windowsDefault
    if (!Number.isInteger(limit) || limit < 1 || limit > windowsMax)
      throw wrong('limit', `limit is 1 to ${windowsMax}.`)
    const { active } = pairOf(await generationsOf(stream.database, stream.name))
    const generation = active?.generation ?? 1
    const rows = await stream.database.query<ResultRow & { closedAt: Date }>(selectResults, [
      ...[stream.name, generation, from, to, limit],
    ])
    const [{ late } = { late: 0n }] = await stream.database.query<{ late: bigint }>(countLate, [
      stream.name,
      generation,
      from,
      to,
    ])
    const mark = await watermarkOf(stream.database, stream, generation, new Date())
    return {
      stream: stream.name,
      generation,
      watermark: mark !== null && mark > 0 ? new Date(mark).toISOString() : null,
      lateEvents: Number(late),
      windows: rows.map((row) => {
        const window = closedWindow(stream, row)
        const { startsMs, endsMs, revision } = window
        const when = { start: new Date(startsMs).toISOString(), end: new Date(endsMs).toISOString() }
        return { ...when, revision, closedAt: row.closedAt.toISOString(), ...show(window) }
      }),
    }
  }
}

/**
 * A replay of a stream: `POST /replay` with `from` (`beginning`, a time as RFC 3339, or `offset N` with `topic`) begins one,
 * `GET /replay` tells how far it is, `POST /replay/cancel` gives it up.
 */
export function replayOperation(stream: Stream, wake: () => void): Operation {
  return async ({ verb, path, body }) => {
    switch (`${verb} ${path.join('/')}`) {
      case 'GET ':
        return statusOf(stream)
      case 'POST ': {
        const { generation, fromMs } = await beginReplay(stream, replayFrom(stream, body))
        wake()
        return { stream: stream.name, generation, from: fromMs === null ? 'beginning' : new Date(fromMs).toISOString() }
      }
      case 'POST cancel': {
        const cancelled = await cancelReplay(stream)
        if (!cancelled) throw new ServiceError('failed-precondition', `No replay of ${stream.name} is under way.`)
        wake()
        return { stream: stream.name }
      }
      default:
        throw new ServiceError('unimplemented', 'Ask GET /replay, POST /replay or POST /replay/cancel.')
    }
  }
}

function replayFrom(stream: Stream, { from, topic }: Readonly<Record<string, unknown>>): ReplayFrom {
  if (typeof from !== 'string') throw wrong('from', 'from is missing: beginning, a time, or "offset N".')
  if (from === 'beginning') return { kind: 'beginning' }
  const offset = /^offset (\d{1,18})$/.exec(from)?.[1]
  if (offset === undefined) return { kind: 'time', timeMs: timeOf(from, 'from') }
  const topics = [...stream.inputs.keys()]
  const [only] = topics.length === 1 ? topics : []
  const named = typeof topic === 'string' ? topic : only
  if (named === undefined) throw wrong('topic', `Say of which topic the offset is: ${topics.join(', ')}.`)
  return { kind: 'offset', topic: named, offset: BigInt(offset) }
}

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

function timeOf(text: string, field: string): number {
  const timeMs = timePattern.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(timeMs))
    throw wrong(field, `${field} is no time as of RFC 3339, such as 2026-11-21T09:30:00Z: "${text.slice(0, 40)}".`)
  return timeMs
}

function wrong(field: string, message: string): ServiceError {
  return invalidArgument(message, { field, code: 'malformed', message })
}

type StatusRow = { readonly generation: number; readonly state: string; readonly fromMs: number | null } & {
  readonly beganAt: Date
  readonly endedAt: Date | null
  readonly rebuiltFromMs: number | null
}

/** The newest generation, whatever became of it. */
async function statusOf({ name, database }: Stream): Promise<object> {
  const [row] = await database.query<StatusRow>(selectNewest, [name])
  if (!row || row.generation === 1) return { stream: name, state: 'none' }
  const states: Readonly<Record<string, string>> = { building: 'running', active: 'done', retired: 'cancelled' }
  const time = (ms: number | null) => (ms === null ? 'beginning' : new Date(ms).toISOString())
  const partitions = await database.query<{ topic: string; partition: number; next: bigint; end: bigint }>(
    selectProgress,
    [name, row.generation],
  )
  return {
    stream: name,
    generation: row.generation,
    state: states[row.state],
    from: time(row.fromMs),
    beganAt: row.beganAt.toISOString(),
    ...(row.state === 'active' &&
      row.endedAt && { endedAt: row.endedAt.toISOString(), rebuiltFrom: time(row.rebuiltFromMs) }),
    partitions: partitions.map(({ next, end, ...place }) => ({ ...place, next: String(next), end: String(end) })),
  }
}

const selectResults = statement(`
  select starts_ms::float as "startsMs", revision, counts, closed_at as "closedAt" from kit.stream_results
  where stream = $1 and generation = $2 and starts_ms >= $3 and starts_ms < $4 order by starts_ms desc limit $5`)
const countLate = statement(`
  select count(*) as late from kit.stream_late where stream = $1 and generation = $2 and starts_ms >= $3 and starts_ms < $4`)
const selectNewest = statement(`
  select generation, state, from_ms::float as "fromMs", began_at as "beganAt", ended_at as "endedAt",
    rebuilt_from_ms::float as "rebuiltFromMs"
  from kit.streams where stream = $1 order by generation desc limit 1`)
const selectProgress = statement(`
  select mine.topic, mine.partition, mine.next_offset as next, coalesce(other.next_offset, mine.next_offset) as "end"
  from kit.stream_partitions as mine
  left join kit.streams as active on active.stream = mine.stream and active.state = 'active'
  left join kit.stream_partitions as other on other.stream = mine.stream and other.topic = mine.topic
    and other.partition = mine.partition and other.generation = active.generation
  where mine.stream = $1 and mine.generation = $2 order by mine.topic, mine.partition`)
