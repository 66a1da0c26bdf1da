import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AnyDatabase, Session } from './database.ts'

/** One file of plain SQL. */
export type Migration = {
  readonly scope: string
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/** The files cannot be brought together with what the database holds, or one of them failed. Nothing was changed. */
class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

/** Any number will do, as long as every process that migrates this database takes the same one. */
const lockKey = 7_051_988
const namePattern = /^(\d{3})-[a-z0-9-]+\.sql$/

/**
 * Brings the database to the state that this code needs: the kit's own tables first, then the service's files
 * `<folder>/001-name.sql` in order. All of it in one transaction, behind a lock, so that replicas may start together and
 * a failure leaves nothing half done. Returns the names of what was applied.
 * @throws MigrationError for a changed, misnamed or failing file
 */
export async function migrate(database: AnyDatabase, folder?: string): Promise<readonly string[]> {
  const migrations = [
    ...readMigrations('kit', join(import.meta.dirname, 'migrations')),
    ...(folder === undefined ? [] : readMigrations('service', folder)),
  ]
  const session = await database.session()
  try {
    await session.query({ text: 'begin; set local statement_timeout = 0; set local lock_timeout = 0' })
    await session.query({ text: `select pg_advisory_xact_lock(${lockKey})` })
    await session.query({ text: migrationsTable })
    const applied = await applyMissing(session, migrations)
    await session.query({ text: 'commit' })
    session.release()
    return applied
  } catch (thrown) {
    // The server rolls back when the connection ends.
    session.release(true)
    throw thrown
  }
}

const migrationsTable = `
  create schema if not exists kit;
  create table if not exists kit.migrations (
    scope text not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    primary key (scope, name)
  )`

/** Reads a folder's migrations. Numbers must differ; whatever else lies there is refused, so that none is forgotten. */
function readMigrations(scope: string, folder: string): readonly Migration[] {
  const names = readdirSync(folder).sort()
  const numbers = new Set<string>()
  return names.map((name) => {
    const number = namePattern.exec(name)?.[1]
    if (number === undefined)
      throw new MigrationError(`${join(folder, name)}: a migration is named like 001-orders.sql.`)
    if (numbers.has(number))
      throw new MigrationError(`${join(folder, name)}: the number ${number} is taken; use the next.`)
    numbers.add(number)
    const sql = readFileSync(join(folder, name), 'utf8')
    return { scope, name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
  })
}

async function applyMissing(session: Session, migrations: readonly Migration[]): Promise<readonly string[]> {
  const { rows } = await session.query({
    text: 'select scope, name, checksum from kit.migrations order by scope, name',
  })
  const known = new Map(rows.map((row) => [`${row.scope}/${row.name}`, String(row.checksum)]))
  const applied: string[] = []
  for (const migration of migrations) {
    const id = `${migration.scope}/${migration.name}`
    const checksum = known.get(id)
    if (checksum === migration.checksum) continue
    if (checksum !== undefined) {
      throw new MigrationError(
        `${id} was changed after it had been applied: restore it, and put the change into a new file.`,
      )
    }
    const later = [...known.keys()].find((other) => other.startsWith(`${migration.scope}/`) && other > id)
    if (later !== undefined)
      throw new MigrationError(`${id} comes before ${later}, which is applied: give it the next number.`)
    await apply(session, migration, id)
    applied.push(id)
  }
  return applied
}

async function apply(session: Session, { scope, name, sql, checksum }: Migration, id: string): Promise<void> {
  try {
    await session.query({ text: sql })
  } catch (thrown) {
    const position = thrown instanceof Error && 'position' in thrown ? Number(thrown.position) : Number.NaN
    const line = Number.isNaN(position) ? '' : `, line ${sql.slice(0, position).split('\n').length}`
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new MigrationError(`${id}${line}: ${reason}`, { cause: thrown })
  }
  const text = 'insert into kit.migrations (scope, name, checksum) values ($1, $2, $3)'
  await session.query({ text, values: [scope, name, checksum] })
}
