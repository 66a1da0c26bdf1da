import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Plan } from '#plan/plan.ts'
import { errorCode } from './error-code.ts'
import type { Layout } from './layout.ts'
import type { UserIds } from './process.ts'

/** What asks for a password. A service has another one for each. */
export type Realm = 'postgres' | 'rabbitmq'

/** The run's own login in Postgres and RabbitMQ. Never a service's: a DNS label has no underscore. */
export const administrator = 'parley_admin'

/** The file that holds a password and nothing else, without a line's end. */
export function passwordFile(layout: Layout, realm: Realm, name: string): string {
  return join(layout.secretsDir, realm, `${name}.password`)
}

/** A service's password file in the format that libpq and its relatives read. */
export function pgpassFile(layout: Layout, name: string): string {
  return join(layout.secretsDir, 'postgres', `${name}.pgpass`)
}

/** Reads a password that `ensurePasswords` made. */
export function password(layout: Layout, realm: Realm, name: string): Promise<string> {
  return readFile(passwordFile(layout, realm, name), 'utf8')
}

/** Those who have a password, the run's own login first. */
export function holders(plan: Plan, realm: Realm): readonly string[] {
  const grants = realm === 'postgres' ? plan.grants.databases : plan.grants.queues
  return [administrator, ...new Set(grants.map(({ service }) => service))]
}

/**
 * Makes a random password for everyone who lacks one, in files of mode 0600. What is there stays, so that a restart does
 * not log anybody out; deleting the file and starting the part again gives a new one.
 */
export async function ensurePasswords(plan: Plan, layout: Layout, realm: Realm): Promise<void> {
  await Promise.all(
    holders(plan, realm).map(async (name) => {
      await ensureSecret(passwordFile(layout, realm, name))
      if (realm === 'postgres')
        await writeSecret(pgpassFile(layout, name), `*:*:*:${name}:${await password(layout, realm, name)}\n`)
    }),
  )
}

/** The secret in a file; made of 24 random bytes in base64url where there is none. */
export async function ensureSecret(path: string): Promise<string> {
  const secret = randomBytes(24).toString('base64url')
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    await writeFile(path, secret, { mode: 0o600, flag: 'wx' })
    return secret
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return readFile(path, 'utf8')
    throw error
  }
}

/** Writes a file that only its owner may read: the user given, otherwise we. */
export async function writeSecret(path: string, content: string, owner: UserIds | null = null): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(path, content, { mode: 0o600 })
  // The mode above counts for new files only.
  await chmod(path, 0o600)
  if (owner) await chown(path, owner.uid, owner.gid)
}
