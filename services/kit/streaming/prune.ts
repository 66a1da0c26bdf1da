import { statement } from '../store/database.ts'
import type { Stream } from './stream.ts'

const rowsMax = 5_000

/** Forgets what is older than the stream keeps, and whatever belongs to a generation that was replaced, some rows at a time. */
export async function pruneStream({ name, database, keepMs }: Stream, now: Date): Promise<void> {
  for (const prune of statements) {
    let deleted: number
    do deleted = (await database.query(prune, [name, now.getTime() - keepMs, rowsMax])).length
    while (deleted === rowsMax)
  }
  await database.query(deleteEmpty, [name])
}

const retired = (table: string) => `exists (
  select from kit.streams where stream = ${table}.stream and generation = ${table}.generation and state = 'retired')`
const prunable = [
  ['kit.stream_state', 'touched_ms'],
  ['kit.stream_windows', 'starts_ms'],
  ['kit.stream_results', 'starts_ms'],
  ['kit.stream_late', 'starts_ms'],
] as const
const statements = prunable.map(([table, time]) =>
  statement(`
    delete from ${table} where ctid = any(array(
      select ctid from ${table} where stream = $1 and (${time} < $2 or ${retired(table)}) limit $3))
    returning 1`),
)
const deleteEmpty = statement(`
  delete from kit.stream_partitions where stream = $1 and ${retired('stream_partitions')}`)
