import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errorCode } from '../error-code.ts'
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
  return user ? join(outside, createHash('sha256').update(path).digest('hex').slice(0, 16), 'folder') : path
}

/**
 * Makes a folder of mode 0700 that belongs to a user, null standing for us. Where its link is gone, because somebody
 * deleted the run's state, it begins empty.
 */
export async function ownedFolder(path: string, user: UserIds | null): Promise<void> {
  const target = realFolder(path, user)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  if (user) {
    await removeForgotten()
    // The link comes first: a folder without one is taken for forgotten.
    if ((await linkTarget(path)) !== target) {
      await removeLink(path)
      await symlink(target, path)
    }
    await mkdir(dirname(target), { recursive: true })
    for (const folder of [outside, dirname(target)]) await chmod(folder, 0o711)
    await writeFile(join(dirname(target), noteFile), path)
  }
  await mkdir(target, { recursive: true, mode: 0o700 })
  if (user) await chown(target, user.uid, user.gid)
}

/** Removes the folders outside whose links are gone with their runs' state. */
export async function removeForgotten(): Promise<void> {
  const entries = await orMissing(readdir(outside), [])
  await Promise.all(
    entries.map(async (entry) => {
      const path = await orMissing(readFile(join(outside, entry, noteFile), 'utf8'), null)
      if (path !== null && (await linkTarget(path)) !== join(outside, entry, 'folder'))
        await rm(join(outside, entry), { recursive: true, force: true })
    }),
  )
}

/** Says, beside a folder outside, where its link is. */
const noteFile = 'link'

async function removeLink(path: string): Promise<void> {
  if ((await orMissing(lstat(path), null))?.isDirectory())
    throw new Error(`${path} was made by a run that root did not start. Go on as that user, or delete the run's state.`)
  await rm(path, { force: true })
}

async function linkTarget(path: string): Promise<string | null> {
  return orMissing(readlink(path), null)
}

async function orMissing<T>(reading: Promise<T>, missing: T): Promise<T> {
  try {
    return await reading
  } catch (error) {
    // ENOTDIR and EINVAL: something else stands where it was.
    if (['ENOENT', 'ENOTDIR', 'EINVAL'].includes(errorCode(error) ?? '')) return missing
    throw error
  }
}
