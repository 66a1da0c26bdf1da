import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import pg from 'pg'
import type { Plan, PlannedStore } from '#plan/plan.ts'
import type { Layout } from '../layout.ts'
import { administrator, password } from '../secrets.ts'

/**
 * Brings roles and databases to the plan: a role owns its database's schema `public` and may connect nowhere else. A role
 * that is no longer declared may not log in; its database stays with its data. Writes nothing where all is as it should be.
 */
export async function provisionPostgres(plan: Plan, layout: Layout): Promise<void> {
  await withAdmin(layout, 'postgres', async (admin) => {
    await provisionRoles(admin, plan, layout)
    const rows = await admin.query<{ datname: string }>('SELECT datname FROM pg_database WHERE NOT datistemplate')
    const present = new Set(rows.rows.map(({ datname }) => datname))
    for (const database of new Set(plan.stores.map((store) => store.database)))
      if (!present.has(database)) await admin.query(`CREATE DATABASE ${quoted(database)} TEMPLATE template0`)
    await closeToOthers(admin, plan.stores)
  })
  await Promise.all(plan.stores.map((store) => openToOwner(layout, store)))
}

/** A service's replicas, and one more: a replica that leaves and the one that takes its place meet for a moment. */
export function roleConnectionsMax(plan: Plan, store: Plan['stores'][number]): number {
  const replicas = plan.services.find(({ name }) => name === store.owner)?.replicas ?? 1
  return store.connectionsMax * (replicas + 1)
}

async function provisionRoles(admin: pg.Client, plan: Plan, layout: Layout): Promise<void> {
  const { rows } = await admin.query<RoleRow>(
    'SELECT rolname, rolpassword, rolcanlogin, rolconnlimit FROM pg_authid WHERE NOT rolsuper AND rolname !~ $1',
    ['^pg_'],
  )
  for (const store of firstByRole(plan.stores)) {
    const row = rows.find(({ rolname }) => rolname === store.role)
    const verifier = scramVerifier(store.role, await password(layout, 'postgres', store.role))
    const limit = roleConnectionsMax(plan, store)
    if (row?.rolcanlogin && row.rolpassword === verifier && row.rolconnlimit === limit) continue
    const verb = row ? 'ALTER' : 'CREATE'
    // Only the verifier travels: a password in a statement could end up in the log.
    await admin.query(
      `${verb} ROLE ${quoted(store.role)} LOGIN PASSWORD ${literal(verifier)} CONNECTION LIMIT ${limit}`,
    )
  }
  for (const { rolname, rolcanlogin } of rows)
    if (rolcanlogin && !plan.stores.some(({ role }) => role === rolname))
      await admin.query(`ALTER ROLE ${quoted(rolname)} NOLOGIN`)
}

type RoleRow = { rolname: string; rolpassword: string | null; rolcanlogin: boolean; rolconnlimit: number }

/** Postgres lets everyone connect to every database unless told otherwise. */
async function closeToOthers(admin: pg.Client, stores: readonly PlannedStore[]): Promise<void> {
  const { rows } = await admin.query<{ datname: string }>(
    `SELECT datname FROM pg_database WHERE datallowconn AND EXISTS (
       SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0
     )`,
  )
  for (const { datname } of rows) await admin.query(`REVOKE ALL ON DATABASE ${quoted(datname)} FROM PUBLIC`)
  const granted = await admin.query<{ datname: string; rolname: string }>(
    `SELECT datname, rolname FROM pg_database, aclexplode(datacl) AS entry JOIN pg_roles ON pg_roles.oid = entry.grantee
     WHERE entry.privilege_type = 'CONNECT'`,
  )
  const has = (store: PlannedStore) =>
    granted.rows.some(({ datname, rolname }) => datname === store.database && rolname === store.role)
  for (const store of stores)
    if (!has(store))
      await admin.query(
        `GRANT CONNECT, TEMPORARY, CREATE ON DATABASE ${quoted(store.database)} TO ${quoted(store.role)}`,
      )
  for (const { datname, rolname } of granted.rows)
    if (rolname !== administrator && !stores.some(({ database, role }) => database === datname && role === rolname))
      await admin.query(`REVOKE ALL ON DATABASE ${quoted(datname)} FROM ${quoted(rolname)}`)
}

/** The role owns the schema and not the database: it can change every table, and open the database to nobody. */
async function openToOwner(layout: Layout, { database, role }: PlannedStore): Promise<void> {
  await withAdmin(layout, database, async (admin) => {
    const { rows } = await admin.query<{ owner: string }>(
      "SELECT nspowner::regrole::text AS owner FROM pg_namespace WHERE nspname = 'public'",
    )
    if (rows[0]?.owner !== quoted(role) && rows[0]?.owner !== role)
      await admin.query(`ALTER SCHEMA public OWNER TO ${quoted(role)}`)
  })
}

async function withAdmin(layout: Layout, database: string, use: (admin: pg.Client) => Promise<void>): Promise<void> {
  const { socketDir, port } = layout.postgres
  const admin = new pg.Client({
    ...{ host: socketDir, port, user: administrator, database },
    password: await password(layout, 'postgres', administrator),
  })
  await admin.connect()
  try {
    await use(admin)
  } finally {
    await admin.end()
  }
}

/**
 * What Postgres keeps of a password (RFC 5803). The salt follows from the password, which is random and used once, so that
 * the same password gives the same text and can be recognised.
 */
function scramVerifier(role: string, secret: string): string {
  const iterations = 4096
  const salt = createHash('sha256').update(`salt ${role} ${secret}`).digest().subarray(0, 16)
  const salted = pbkdf2Sync(secret, salt, iterations, 32, 'sha256')
  const key = (name: string) => createHmac('sha256', salted).update(name).digest()
  const stored = createHash('sha256').update(key('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${key('Server Key').toString('base64')}`
}

function firstByRole(stores: readonly PlannedStore[]): readonly PlannedStore[] {
  return stores.filter((store, index) => stores.findIndex(({ role }) => role === store.role) === index)
}

const quoted = pg.escapeIdentifier
const literal = pg.escapeLiteral
