import { statement } from './database.ts'
import { attempt, type Batch } from './projection-batch.ts'
import { generationsOf } from './projection-generations.ts'

type ParkedRange = { readonly first: number; readonly last: number }

/**
 * Applies what is parked again, stream by stream, each in a transaction of its own. A stream that fails again stays
 * parked from there on. Gives how many events were applied.
 */
export async function releaseParked<Tables, M>(batch: Batch<Tables, M>): Promise<number> {
  let applied = 0
  for (const { generation, version } of await generationsOf(batch.database, batch.projection.name)) {
    if (version !== batch.projection.version) continue
    const values = [batch.projection.name, generation]
    for (const { stream_id } of await batch.database.query<{ stream_id: string }>(selectStreams, values)) {
      applied += await releaseStream(batch, generation, stream_id)
    }
  }
  return applied
}

function releaseStream<Tables, M>(
  { database, store, projection }: Batch<Tables, M>,
  generation: number,
  streamId: string,
): Promise<number> {
  return database.transaction(async (tx) => {
    // The lock keeps events of the stream from being applied, or parked, meanwhile. Another replica, which starts at the
    // same time, may have applied some until it was had: only what is parked now may be.
    await tx.query(lock, [projection.name, generation])
    const [range] = await tx.query<ParkedRange>(selectRange, [projection.name, generation, streamId])
    if (!range) return 0
    const { first, last } = range
    const { events } = await store.read(tx, streamId, { afterVersion: first - 1 })
    let applied = 0
    for (const event of events) {
      if (event.version > last) break
      const failure = await attempt(tx, projection, generation, event)
      const place = [projection.name, generation, streamId, event.version]
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
  select distinct stream_id from kit.parked_events
  where projection = $1 and generation = $2 order by stream_id limit 10000`)
const selectRange = statement(`
  select min(version) as first, max(version) as last from kit.parked_events
  where projection = $1 and generation = $2 and stream_id = $3 group by stream_id`)
const lock = statement('select from kit.projections where name = $1 and generation = $2 for update')
const remove = statement(`
  delete from kit.parked_events where projection = $1 and generation = $2 and stream_id = $3 and version = $4`)
const tell = statement(`
  update kit.parked_events set reason = $5
  where projection = $1 and generation = $2 and stream_id = $3 and version = $4`)
