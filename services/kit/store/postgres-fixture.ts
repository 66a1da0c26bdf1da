import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresConfiguration } from '../app/configuration.ts'

/** One real Postgres in a scratch directory, on a socket only, for tests. */
export type PostgresFixture = {
  /** A database of its own, empty. */
  create(name: string): PostgresConfiguration
  /** Somebody who may log in. */
  role(name: string): void
  /** Ends the server at once, as a power failure would, until `start`. */
  crash(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

const bin = '/usr/lib/postgresql/15/bin'
const startTimeoutMs = 20_000

/** More for the server: settings, and who may come how in the words of `pg_hba.conf`. `files` are put into its folder, for it alone. */
type PostgresOptions = {
  readonly settings?: readonly string[]
  readonly access?: string
  readonly files?: Readonly<Record<string, string>>
}

/** Starts Postgres, as its own user where the test runs as root, which Postgres refuses. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresFixture> {
  const home = mkdtempSync(join(tmpdir(), 'parley-pg-'))
  chmodSync(home, 0o755)
  const [data, sockets, passwordFile] = [join(home, 'data'), join(home, 's'), join(home, 'pgpass')]
  writeFileSync(passwordFile, '*:*:*:*:none\n', { mode: 0o600 })
  for (const folder of [data, sockets]) mkdirSync(folder, { mode: 0o700 })
  if (process.getuid?.() === 0) execFileSync('chown', ['postgres', data, sockets])
  chmodSync(sockets, 0o755)
  command('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'])
  const files = { ...options.files, ...(options.access ? { 'pg_hba.conf': options.access } : {}) }
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(data, name), text, { mode: 0o600 })
    if (process.getuid?.() === 0) execFileSync('chown', ['postgres', join(data, name)])
  }
  const settings = ['max_connections=200', ...(options.settings ?? [])].flatMap((setting) => ['-c', setting])

  let server: ReturnType<typeof spawn> | undefined
  const start = async () => {
    const log = openSync(join(home, 'log'), 'a')
    const [file, args] = asOwner('postgres', ['-D', data, '-k', sockets, '-h', '', ...settings])
    server = spawn(file, args, { stdio: ['ignore', log, log] })
    for (const until = Date.now() + startTimeoutMs; Date.now() < until; await sleep(50)) {
      if (existsSync(join(sockets, '.s.PGSQL.5432')) && answers(sockets)) return
    }
    throw new Error(`Postgres did not start within ${startTimeoutMs} ms: see ${join(home, 'log')}`)
  }
  const crash = async () => {
    const child = server
    server = undefined
    if (!child || child.exitCode !== null) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    command('pg_ctl', ['-D', data, '-m', 'immediate', '-w', 'stop'])
    await ended
  }
  await start()
  return {
    create(name) {
      command('createdb', ['-h', sockets, '-U', 'postgres', name])
      return { host: sockets, port: 5432, database: name, user: 'postgres', passwordFile, tls: null }
    },
    role: (name) => command('createuser', ['-h', sockets, '-U', 'postgres', '--login', name]),
    crash,
    start,
    async stop() {
      await crash()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

function answers(sockets: string): boolean {
  try {
    command('pg_isready', ['-h', sockets, '-q'])
    return true
  } catch {
    return false
  }
}

function command(name: string, args: readonly string[]): void {
  const [file, all] = asOwner(name, args)
  execFileSync(file, all, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' })
}

function asOwner(name: string, args: readonly string[]): [string, string[]] {
  const program = join(bin, name)
  if (process.getuid?.() !== 0) return [program, [...args]]
  // `setpriv` becomes the program, so the child's pid is the server's.
  return ['setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', program, ...args]]
}
