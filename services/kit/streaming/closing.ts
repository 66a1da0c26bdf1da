import type { TopicPartition } from '../kafka/port.ts'
import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import { metric } from '../telemetry/semantics.ts'
import { counter } from '../telemetry/telemetry.ts'
import { generationsOf, pairOf } from './state.ts'
import type { ClosedWindow, Stream } from './stream.ts'
import { watermark } from './window.ts'

/** Windows of one turn: each is an event to publish. */
const windowsMax = 200
/** A batch may want the same rows in another order. */
const attemptsOf = { attempts: 3 } as const

/**
 * Closes the windows before the watermark, and corrects those that have changed since; one process at a time does it. `quiet` are
 * the partitions of which this process knows that nothing waits: one in which nothing has come for long, either, is idle from now on. A
 * partition that nobody owns, or that lags, is not: it holds its windows open until it was read. True where there is more to do.
 */
export function closeWindows(stream: Stream, quiet: readonly TopicPartition[]): Promise<boolean> {
  return stream.database.transaction(async (tx) => {
    const generations = await generationsOf(tx, stream.name, 'share')
    await markIdle(tx, stream, quiet)
    const [{ mine } = { mine: false }] = await tx.query<{ mine: boolean }>(lockClosing, [stream.name])
    if (!mine) return false
    const { active } = pairOf(generations)
    const before = active && (await watermarkOf(tx, stream, active.generation, tx.at))
    if (!active || before == null) return false
    const closed = await makeResults(tx, stream, active.generation, before, windowsMax)
    for (const window of closed) stream.closed(tx, window)
    tx.afterCommit(() => {
      for (const { revision } of closed) {
        counter(metric.streamWindows).add(1, { stream: stream.name, kind: revision === 1 ? 'closed' : 'corrected' })
      }
    })
    return closed.length === windowsMax
  }, attemptsOf)
}

/** The time before which windows of a generation are closed; null where nothing is known yet. */
export async function watermarkOf(
  from: Pick<AnyDatabase | AnyTx, 'query'>,
  { name, counting, windows }: Stream,
  generation: number,
  now: Date,
): Promise<number | null> {
  const rows = await from.query<{ newestMs: number; idle: boolean }>(selectTimes, [name, generation, [...counting]])
  return watermark(rows, now.getTime(), windows)
}

/** Makes the results of windows that end by a time, at most so many, and answers those that are new or have changed. */
export async function makeResults(
  tx: AnyTx,
  stream: Stream,
  generation: number,
  beforeMs: number,
  max: number,
): Promise<readonly ClosedWindow[]> {
  const { name, windows } = stream
  const due = await tx.query<{ startsMs: number }>(takeDirty, [name, generation, beforeMs - windows.sizeMs, max])
  if (due.length === 0) return []
  // A statement of its own: what was added until the rows were taken is in it, and what comes later is dirty again.
  const values = [name, generation, due.map(({ startsMs }) => startsMs), tx.at]
  const rows = await tx.query<ResultRow>(upsertResults, values)
  return rows.map((row) => closedWindow(stream, row)).sort((a, b) => a.startsMs - b.startsMs)
}

/** The result of a window as it lies in the table. */
export type ResultRow = {
  readonly startsMs: number
  readonly revision: number
  readonly counts: Readonly<Record<string, string>>
}

/** A window's result in the words of a stream. */
export function closedWindow({ name, windows }: Stream, { startsMs, revision, ...row }: ResultRow): ClosedWindow {
  const counts = Object.fromEntries(Object.entries(row.counts).map(([counter, amount]) => [counter, BigInt(amount)]))
  const id = `${name}.${new Date(startsMs).toISOString()}.${revision}`
  return { startsMs, endsMs: startsMs + windows.sizeMs, revision, counts, id }
}

async function markIdle(tx: AnyTx, { name, windows }: Stream, quiet: readonly TopicPartition[]): Promise<void> {
  if (quiet.length === 0) return
  const since = new Date(tx.at.getTime() - windows.idleMs)
  const values = [name, quiet.map(({ topic }) => topic), quiet.map(({ partition }) => partition), since]
  await tx.query(updateIdle, values)
}

const lockClosing = statement(`
  select pg_try_advisory_xact_lock(hashtextextended('stream closing ' || $1, 0)) as mine`)
const selectTimes = statement(`
  select newest_ms::float as "newestMs", idle from kit.stream_partitions
  where stream = $1 and generation = $2 and topic = any($3::text[])`)
const takeDirty = statement(`
  with due as (
    select distinct starts_ms from kit.stream_windows
    where stream = $1 and generation = $2 and dirty and starts_ms <= $3 order by starts_ms limit $4
  ), taken as (
    update kit.stream_windows as part set dirty = false from due
    where part.stream = $1 and part.generation = $2 and part.starts_ms = due.starts_ms and part.dirty
    returning part.starts_ms
  )
  select distinct starts_ms::float as "startsMs" from taken`)
const upsertResults = statement(`
  insert into kit.stream_results as result (stream, generation, starts_ms, revision, counts, closed_at)
  select $1, $2, starts_ms, 1, jsonb_object_agg(counter, amount::text), $4
  from (
    select starts_ms, counter, sum(amount) as amount from kit.stream_windows
    where stream = $1 and generation = $2 and starts_ms = any($3::bigint[]) and counter <> '' group by starts_ms, counter
  ) as sums
  group by starts_ms
  on conflict (stream, generation, starts_ms) do update
    set counts = excluded.counts, revision = result.revision + 1, closed_at = excluded.closed_at
    where result.counts <> excluded.counts
  returning starts_ms::float as "startsMs", revision, counts`)
const updateIdle = statement(`
  update kit.stream_partitions as at set idle = true
  from unnest($2::text[], $3::integer[]) as quiet (topic, partition)
  where at.stream = $1 and at.topic = quiet.topic and at.partition = quiet.partition and not at.idle and at.heard_at < $4`)
