import { metric } from '../telemetry/semantics.ts'
import { gauge, type Reading } from '../telemetry/telemetry.ts'
import { type AnyDatabase, statement } from './database.ts'

/** Tells how far each read model is behind, and how much of it is parked. Every replica reports the same. */
export function observe(database: AnyDatabase, projections: readonly { readonly name: string }[]): () => void {
  const names = projections.map(({ name }) => name)
  const read = async (value: (row: ProjectionState) => number): Promise<Reading[]> => {
    const rows = await projectionStates(database, names)
    return rows.map((row) => ({ value: value(row), attributes: { projection: row.name, state: row.state } }))
  }
  const forget = [
    gauge(metric.projectionLag, 's', () => read(({ lag }) => lag ?? 0)),
    gauge(metric.projectionParked, '1', () => read(({ parked }) => Number(parked))),
  ]
  return () => {
    for (const off of forget) off()
  }
}

/** How one generation of a read model is. `lag` is the age of the oldest event that it lacks, in seconds; null where it lacks none. */
export type ProjectionState = {
  readonly name: string
  readonly state: 'active' | 'building'
  readonly generation: number
  readonly version: number
  readonly lag: number | null
  readonly parked: bigint
}

/** Every generation of these read models, as it is now. */
export function projectionStates(database: AnyDatabase, names: readonly string[]): Promise<ProjectionState[]> {
  return database.query<ProjectionState>(select, [names])
}

const select = statement(`
  select name, state, generation, version,
    (select extract(epoch from clock_timestamp() - recorded_at)::float from kit.events
      where (transaction_id, events.position) > (split_part(mine.position, ':', 1)::xid8, split_part(mine.position, ':', 2)::bigint)
      order by transaction_id, events.position limit 1) as lag,
    (select count(*) from kit.parked_events where projection = mine.name and generation = mine.generation) as parked
  from kit.projections as mine where name = any($1::text[]) order by name, generation`)
