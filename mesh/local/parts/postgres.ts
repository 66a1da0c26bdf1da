import { execFile } from 'node:child_process'
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Plan } from '#plan/plan.ts'
import { errorCode } from '../error-code.ts'
import type { Layout } from '../layout.ts'
import type { UserIds } from '../process.ts'
import { administrator, ensurePasswords, password, pgpassFile, writeSecret } from '../secrets.ts'
import { writeCommand } from './commands.ts'
import type { Part, PartTools } from './part.ts'
import { provisionPostgres, roleConnectionsMax } from './postgres-roles.ts'
import { ordinaryUser, ownedFolder, realFolder } from './unprivileged.ts'

/** Connections beyond those of services: for us and for people. */
const connectionsSpare = 10

/**
 * Postgres on a Unix socket alone, with one database and one role a service. It refuses root: started by root it runs as
 * `postgres` or `nobody`, with its folders in `/var/lib/parley` and links to them in the run. Null where the plan has no store.
 */
export function postgresPart(plan: Plan, layout: Layout, tools: PartTools): Part | null {
  if (plan.stores.length === 0) return null
  const { socketDir, port } = layout.postgres
  const user = ordinaryUser()
  const dataDir = realFolder(join(layout.dataDir, 'postgres'), user)
  return {
    name: 'postgres',
    kind: 'part',
    argv: [join(tools.postgresBin, 'postgres'), '-D', dataDir],
    env: { LANG: 'C.UTF-8', TZ: 'UTC' },
    // Postgres changes into its data folder by itself; ours may be closed to its user.
    cwd: '/',
    user,
    logFile: join(layout.logsDir, 'postgres.log'),
    needs: [],
    listens: [],
    sockets: [join(socketDir, `.s.PGSQL.${port}`), join(socketDir, `.s.PGSQL.${port}.lock`)],
    urls: [],
    async prepare() {
      await ensurePasswords(plan, layout, 'postgres')
      await ownedFolder(join(layout.dataDir, 'postgres'), user)
      await ownedFolder(socketDir, user)
      await initialise(layout, tools, dataDir, user)
      const config = postgresConfig(plan, layout, realFolder(socketDir, user))
      await writeSecret(join(dataDir, 'postgresql.conf'), config, user)
      await writeSecret(join(dataDir, 'pg_hba.conf'), postgresAccess(plan), user)
      const client = { PGHOST: socketDir, PGPORT: String(port), PGUSER: administrator, PGDATABASE: 'postgres' }
      const passwords = { PGPASSFILE: pgpassFile(layout, administrator) }
      await writeCommand(layout, 'psql', { ...client, ...passwords }, [join(tools.postgresBin, 'psql')])
    },
    ready: () => answers(layout),
    provision: () => provisionPostgres(plan, layout),
    // Postgres takes SIGTERM as "when the last client has left"; SIGINT is the orderly stop that does not wait.
    stop: { signal: 'SIGINT', graceMs: 8_000 },
  }
}

/** The server's settings. `socketDir` is the folder itself: the server may not be able to follow a link to it. */
export function postgresConfig(plan: Plan, layout: Layout, socketDir: string): string {
  const { port } = layout.postgres
  const clients = plan.stores.reduce((sum, store) => sum + roleConnectionsMax(plan, store), 0)
  const settings = {
    listen_addresses: "''",
    unix_socket_directories: `'${socketDir.replaceAll("'", "''")}'`,
    unix_socket_permissions: '0700',
    port,
    max_connections: clients + connectionsSpare,
    password_encryption: 'scram-sha-256',
    shared_buffers: '64MB',
    max_wal_size: '256MB',
    wal_level: 'replica',
    synchronous_commit: 'on',
    max_worker_processes: 2,
    max_parallel_workers: 0,
    autovacuum_max_workers: 1,
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    log_line_prefix: "'%m %u@%d '",
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

/** Who may connect to what: each role to its own database, we to all. What has no line here is refused. */
export function postgresAccess(plan: Plan): string {
  const line = (database: string, role: string) => `local "${database}" "${role}" scram-sha-256\n`
  return [
    `local all "${administrator}" scram-sha-256\n`,
    ...plan.grants.databases.map(({ database, service }) => line(database, service)),
  ].join('')
}

/** Makes the cluster once. One that was interrupted has no `PG_VERSION`, which initdb writes last but its remains stay. */
async function initialise(layout: Layout, tools: PartTools, dataDir: string, user: UserIds | null): Promise<void> {
  if (await exists(join(dataDir, 'global', 'pg_control'))) return
  const passwordFile = join(realFolder(layout.postgres.socketDir, user), 'initial.password')
  await writeSecret(passwordFile, await password(layout, 'postgres', administrator), user)
  const flags = [
    ...['--pgdata', dataDir, '--username', administrator, '--pwfile', passwordFile],
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--no-locale', '--no-sync'],
  ]
  try {
    await promisify(execFile)(join(tools.postgresBin, 'initdb'), flags, {
      cwd: '/',
      env: { LANG: 'C.UTF-8' },
      ...(user ?? {}),
    })
  } catch (error) {
    throw new Error(`Postgres could not make its cluster in ${dataDir}: ${text(error)}`, { cause: error })
  } finally {
    await rm(passwordFile, { force: true })
  }
}

/** What initdb said, which its error's message ends with. */
function text(error: unknown): string {
  return (error as Error).message.trim()
}

/** What a client meets while the server is not there yet, or starts and recovers. */
const notYet: ReadonlySet<string | undefined> = new Set([undefined, 'ENOENT', 'ECONNREFUSED', 'ECONNRESET', '57P03'])

const answerMsMax = 900

async function answers(layout: Layout): Promise<boolean> {
  const { socketDir, port } = layout.postgres
  const client = new pg.Client({
    ...{ host: socketDir, port, user: administrator, database: 'postgres' },
    password: await password(layout, 'postgres', administrator),
    connectionTimeoutMillis: answerMsMax,
    // A server that logs in and stands still would otherwise be waited for without an end.
    query_timeout: answerMsMax,
  })
  // One that ends between two words is told by what was asked of it.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch (error) {
    // Without a code the connection took too long, or was closed by a server that was going down.
    if (notYet.has(errorCode(error))) return false
    throw error
  } finally {
    await client.end()
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
