import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../error-code.ts'
import type { CertFiles } from '../layout.ts'

/** The symbolic link that names the current set, as Kubernetes does it for mounted secrets. */
const current = '..data'

/**
 * Replaces all files of a folder at once: whoever reads them sees the old set or the new one, never a key that does not
 * fit its certificate. The files are links through `..data`, which is moved into place; Envoy watches for that move.
 */
export async function swapFolder(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  const set = `..${Date.now().toString(36)}-${randomBytes(4).toString('hex')}`
  await mkdir(join(dir, set), { recursive: true, mode: 0o700 })
  await Promise.all(
    Object.entries(files).map(([name, content]) => writeFile(join(dir, set, name), content, { mode: 0o600 })),
  )
  const link = join(dir, `${set}.link`)
  await symlink(set, link)
  await rename(link, join(dir, current))
  await Promise.all(Object.keys(files).map((name) => linkOnce(join(current, name), join(dir, name))))
  await removeOlder(dir, set)
}

/** Reads an identity's files as one set; undefined where there is none, or not all of one. */
export async function readFolder(
  files: CertFiles,
): Promise<{ readonly cert: string; readonly key: string; readonly authority: string } | undefined> {
  try {
    const [cert, key, authority] = await Promise.all(
      [files.cert, files.key, files.authority].map((file) => readFile(file, 'utf8')),
    )
    return cert && key && authority ? { cert, key, authority } : undefined
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function linkOnce(target: string, path: string): Promise<void> {
  try {
    await symlink(target, path)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}

/** Keeps the newest two sets: a reader may have followed the link just before it moved. Names begin with the time. */
async function removeOlder(dir: string, newest: string): Promise<void> {
  const sets = (await readdir(dir)).filter((name) => name.startsWith('..') && name !== current && name !== newest)
  const older = sets.sort().slice(0, -1)
  await Promise.all(older.map((name) => rm(join(dir, name), { recursive: true, force: true })))
}
