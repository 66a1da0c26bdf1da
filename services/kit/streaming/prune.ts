import { type Statement, statement } from '../store/database.ts'
import { consumerOf } from './seen.ts'
import type { Stream } from './stream.ts'

const rowsMax = 5_000

/** Forgets what is older than the stream keeps, and generations that were replaced or given up, some rows at a time. */
export async function pruneStream(stream: Stream, now: Date): Promise<void> {
  const { name, database, keepMs } = stream
  const all = await database.query<{ generation: number; retired: boolean }>(selectGenerations, [name])
  const prune = async (each: Statement, values: readonly unknown[]) => {
    let deleted: number
    do deleted = (await database.query(each, [...values, rowsMax])).length
    while (deleted === rowsMax)
  }
  for (const { generation, retired } of all) {
    const before = retired ? Number.MAX_SAFE_INTEGER : now.getTime() - keepMs
    for (const each of statements) await prune(each, [name, generation, before])
    if (!retired) continue
    await prune(deleteSeen, [consumerOf(stream, generation)])
    await database.query(deletePartitions, [name, generation])
    await database.query(deleteGeneration, [name, generation])
  }
}

const selectGenerations = statement(`
  select generation, state = 'retired' as retired from kit.streams where stream = $1 order by generation`)
// In the order of an index: most often there is nothing to delete, which it tells at once.
const statements = (
  [
    ['kit.stream_state', 'touched_ms'],
    ['kit.stream_windows', 'starts_ms'],
    ['kit.stream_results', 'starts_ms'],
    ['kit.stream_late', 'starts_ms'],
  ] as const
).map(([table, time]) =>
  statement(`
    delete from ${table} where ctid = any(array(
      select ctid from ${table} where stream = $1 and generation = $2 and ${time} < $3 order by ${time} limit $4))
    returning 1`),
)
const deletePartitions = statement('delete from kit.stream_partitions where stream = $1 and generation = $2')
const deleteSeen = statement(`
  delete from kit.inbox where ctid = any(array(
    select ctid from kit.inbox where consumer = $1 order by event_id limit $2))
  returning 1`)
// The newest is what the last replay is told by, and the next number follows from it.
const deleteGeneration = statement(`
  delete from kit.streams where stream = $1 and generation = $2 and state = 'retired'
    and generation < (select max(generation) from kit.streams where stream = $1)`)
