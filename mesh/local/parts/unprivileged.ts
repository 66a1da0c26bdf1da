import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chmod, chown, lstat, mkdir, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { UserIds } from '../process.ts'

/** Where the folders of an ordinary user are when root started the run, whose own folders are closed to it. */
const outside = '/var/lib/parley'

/**
 * The ordinary user for a part that refuses root: `postgres`, which the distribution makes for it, otherwise `nobody`.
 * Null when we are no root: then everything runs as we do.
 */
export function ordinaryUser(): UserIds | null {
  if (process.getuid?.() !== 0) return null
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const [, , uid, gid] = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody') ?? []
  if (!uid || !gid) throw new Error('Postgres refuses to run as root, and this machine has no user postgres or nobody.')
  return { uid: Number(uid), gid: Number(gid) }
}

/**
 * Where a folder of a run really is: at its path, or for another user in `/var/lib/parley`, to which the path is a link.
 * The run's folders stay closed to everyone else that way, and a checkout below `/root` works too.
 */
export function realFolder(path: string, user: UserIds | null): string {
  return user ? join(outside, createHash('sha256').update(path).digest('hex').slice(0, 16)) : path
}

/**
 * Makes a folder of mode 0700 that belongs to a user, null standing for us. Where its link is gone, because somebody
 * deleted the run's state, it begins empty.
 */
export async function ownedFolder(path: string, user: UserIds | null): Promise<void> {
  const target = realFolder(path, user)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const linked = target === path || (await isLink(path))
  if (!linked) await rm(target, { recursive: true, force: true })
  await mkdir(target, { recursive: true, mode: 0o700 })
  if (!user) return
  await chmod(outside, 0o711)
  await chown(target, user.uid, user.gid)
  if (!linked) await symlink(target, path)
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}
