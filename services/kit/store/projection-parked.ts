import { statement } from './database.ts'
import { attempt, type Batch } from './projection-batch.ts'
import { generationsOf } from './projection-generations.ts'

type ParkedStream = { readonly stream_id: string; readonly first: number; readonly last: number }

/**
 * Applies what is parked again, stream by stream, each in a transaction of its own. A stream that fails again stays
 * parked from there on. Gives how many events were applied.
 */
export async function releaseParked<Tables, M>(batch: Batch<Tables, M>): Promise<number> {
  let applied = 0
  for (const { generation, version } of await generationsOf(batch.database, batch.projection.name)) {
    if (version !== batch.projection.version) continue
    const values = [batch.projection.name, generation]
    for (const stream of await batch.database.query<ParkedStream>(selectStreams, values)) {
      applied += await releaseStream(batch, generation, stream)
    }
  }
  return applied
}

function releaseStream<Tables, M>(
  { database, store, projection }: Batch<Tables, M>,
  generation: number,
  { stream_id, first, last }: ParkedStream,
): Promise<number> {
  return database.transaction(async (tx) => {
    // The lock keeps new events of the stream from being applied, or parked, meanwhile.
    await tx.query(lock, [projection.name, generation])
    const { events } = await store.read(tx, stream_id, { afterVersion: first - 1 })
    let applied = 0
    for (const event of events) {
      if (event.version > last) break
      const failure = await attempt(tx, projection, generation, event)
      const place = [projection.name, generation, stream_id, event.version]
      if (failure) {
        await tx.query(tell, [...place, failure.message.slice(0, 1_000)])
        break
      }
      await tx.query(remove, place)
      applied += 1
    }
    return applied
  })
}

const selectStreams = statement(`
  select stream_id, min(version) as first, max(version) as last from kit.parked_events
  where projection = $1 and generation = $2 group by stream_id order by stream_id limit 10000`)
const lock = statement('select from kit.projections where name = $1 and generation = $2 for update')
const remove = statement(`
  delete from kit.parked_events where projection = $1 and generation = $2 and stream_id = $3 and version = $4`)
const tell = statement(`
  update kit.parked_events set reason = $5
  where projection = $1 and generation = $2 and stream_id = $3 and version = $4`)
