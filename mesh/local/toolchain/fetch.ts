import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Caller, download } from './download.ts'
import type { Pins } from './pins.ts'
import { ToolchainError } from './problem.ts'
import type { Architecture, FetchedTool } from './tools.ts'

/** The tools folder, and the machine's architecture: which pins hold in it. */
export type Place = { readonly toolsDir: string; readonly arch: Architecture }

const stampName = '.stamp'
const workPrefix = '.fetch-'

/** Where a tool's files lie once they are there and verified. */
export function folderOf(toolsDir: string, tool: FetchedTool): string {
  return join(toolsDir, tool.folder)
}

/** Whether the tool is there, with the files that are pinned now. Reads one small file and asks nobody. */
export async function isFetched(tool: FetchedTool, { toolsDir, arch }: Place): Promise<boolean> {
  const stamp = await readFile(join(folderOf(toolsDir, tool), stampName), 'utf8').catch(() => null)
  return stamp === stampOf(tool.pins[arch])
}

/**
 * Fetches a tool through its registry's client, verifies each file and moves the whole into place. Until then, and if
 * it is interrupted, nothing is there. Throws `FETCH_FAILED` or `HASH_MISMATCH`.
 */
export async function fetchTool(tool: FetchedTool, { toolsDir, arch }: Place, caller: Caller): Promise<void> {
  const work = join(toolsDir, `${workPrefix}${tool.name}`)
  const folder = folderOf(toolsDir, tool)
  await mkdir(work, { recursive: true })
  try {
    const files = await download(tool, work, caller)
    await verify(files, tool.title, tool.pins[arch])
    await writeFile(join(files, stampName), stampOf(tool.pins[arch]))
    await rm(folder, { recursive: true, force: true })
    await mkdir(dirname(folder), { recursive: true })
    await rename(files, folder)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Removes what a fetch that was killed has left. Only the holder of the lock can know that nobody is at work there. */
export async function removeLeftovers(toolsDir: string): Promise<void> {
  const leftovers = (await readdir(toolsDir)).filter((name) => name.startsWith(workPrefix))
  for (const name of leftovers) await rm(join(toolsDir, name), { recursive: true, force: true })
}

/** Compares a folder with its pins: each file there, none beside them, all as pinned. Throws `HASH_MISMATCH`. */
async function verify(folder: string, title: string, pins: Pins): Promise<void> {
  const found: Record<string, string> = {}
  for (const name of await readdir(folder)) found[name] = await sha256Of(join(folder, name))
  const wrong = [...new Set([...Object.keys(pins), ...Object.keys(found)])]
    .sort()
    .filter((name) => pins[name] !== found[name])
  if (wrong.length === 0) return
  const list = wrong.map(
    (name) =>
      `    ${name}\n      expected ${pins[name] ?? 'no such file'}\n      found    ${found[name] ?? 'no such file'}`,
  )
  throw new ToolchainError(
    'HASH_MISMATCH',
    `${title} is not what is pinned, and was thrown away:\n\n${list.join('\n')}\n\n` +
      'Either the registry or something on the way to it changed the files, or a version was changed without its pins ' +
      '(`bin/node mesh/local/toolchain/main.ts pin` prints new ones).',
  )
}

/** The sha256 of a file, in hexadecimal. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}

function stampOf(pins: Pins): string {
  const lines = Object.entries(pins).map(([name, hash]) => `${hash}  ${name}\n`)
  return createHash('sha256').update(lines.join('')).digest('hex')
}
