import { type AnyDatabase, type AnyTx, type Database, statement } from './database.ts'
import { logStart } from './event-store.ts'

/** One filling of a read model. */
export type Generation = {
  readonly generation: number
  readonly version: number
  readonly state: 'active' | 'building'
}

/** What a generation is made from; see `Projection`. */
type Model = {
  readonly name: string
  readonly version: number
  readonly columns: string
  readonly indexes?: readonly string[]
}

/** The generations of a read model, the active one first. */
export function generationsOf(from: Pick<AnyDatabase | AnyTx, 'query'>, name: string): Promise<Generation[]> {
  return from.query<Generation>(selectGenerations, [name])
}

/** As `generationsOf`, with whether events wait for each: what a turn asks first, for mostly there are none. */
export function turnsOf(from: Pick<AnyDatabase, 'query'>, name: string): Promise<(Generation & { waits: boolean })[]> {
  return from.query(selectTurns, [name])
}

/** The table of one generation. The name is code's, never a client's. */
export function tableOf(name: string, generation: number): string {
  if (!/^[a-z][a-z_]{0,40}$/.test(name)) throw new Error(`A projection is named in lower case and underscores: ${name}`)
  return `${name}_g${generation}`
}

/**
 * Begins a generation where one is due. The first is active at once and fills up before the readers' eyes; any other is
 * built beside the active one.
 */
export async function begin<Tables>(
  database: Database<Tables>,
  model: Model,
  when: 'where missing or older' | 'anew',
): Promise<void> {
  await database.transaction(async (tx) => {
    // Replicas start together; the second one finds what the first has begun.
    await tx.query(lockName, [model.name])
    const known = await generationsOf(tx, model.name)
    const building = known.find(({ state }) => state === 'building')
    if (building && building.version >= model.version) return
    if (when === 'where missing or older' && known.some(({ version }) => version >= model.version)) return
    if (building) await remove(tx, model.name, building.generation)
    const generation = Math.max(0, ...known.map((each) => each.generation)) + 1
    const table = tableOf(model.name, generation)
    await tx.query(statement(`create table "${table}" (${model.columns})`))
    for (const columns of model.indexes ?? []) await tx.query(statement(`create index on "${table}" (${columns})`))
    const active = known.some(({ state }) => state === 'active')
    await tx.query(insertGeneration, [model.name, generation, model.version, active ? 'building' : 'active', logStart])
    if (!active) await show(tx, model.name, table)
  })
}

/**
 * Lets readers see a generation that has caught up, and removes the one before it. Does nothing where that one is further
 * still, for readers must not see it run back: the next batch decides.
 */
export async function activate<Tables>(
  database: Database<Tables>,
  { name }: Model,
  generation: number,
): Promise<boolean> {
  return database.transaction(async (tx) => {
    await tx.query(lockName, [name])
    const rows = await tx.query<Generation & { ahead: boolean }>(lockGenerations, [name])
    const built = rows.find((row) => row.generation === generation)
    const before = rows.find(({ state }) => state === 'active')
    if (built?.state !== 'building' || before?.ahead) return false
    await show(tx, name, tableOf(name, generation))
    if (before) await remove(tx, name, before.generation)
    await tx.query(setActive, [name, generation])
    return true
  })
}

async function show(tx: AnyTx, name: string, table: string): Promise<void> {
  // Replacing a view cannot take columns away, so it is dropped; readers wait for the commit, which is moments away.
  await tx.query(statement(`drop view if exists "${name}"`))
  await tx.query(statement(`create view "${name}" as select * from "${table}"`))
}

async function remove(tx: AnyTx, name: string, generation: number): Promise<void> {
  await tx.query(deleteGeneration, [name, generation])
  await tx.query(statement(`drop table "${tableOf(name, generation)}"`))
}

const lockName = statement(`select pg_advisory_xact_lock(hashtextextended('projection ' || $1, 0))`)
const selectGenerations = statement(
  'select generation, version, state from kit.projections where name = $1 order by state, generation',
)
const selectTurns = statement(`
  select generation, version, state, exists (
    select from kit.events
    where (events.transaction_id, events.position)
        > (split_part(model.position, ':', 1)::xid8, split_part(model.position, ':', 2)::bigint)
      and events.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
  ) as waits
  from kit.projections as model where name = $1 order by state, generation`)
const insertGeneration = statement(
  'insert into kit.projections (name, generation, version, state, position) values ($1, $2, $3, $4, $5)',
)
const deleteGeneration = statement('delete from kit.projections where name = $1 and generation = $2')
const setActive = statement(`update kit.projections set state = 'active' where name = $1 and generation = $2`)
const lockGenerations = statement(`
  select generation, version, state, (
    select (split_part(mine.position, ':', 1)::xid8, split_part(mine.position, ':', 2)::bigint)
      > (split_part(other.position, ':', 1)::xid8, split_part(other.position, ':', 2)::bigint)
    from kit.projections as other where other.name = mine.name and other.state = 'building'
  ) as ahead
  from kit.projections as mine where name = $1 for update`)
