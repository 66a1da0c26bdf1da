import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findClients } from './clients.ts'
import { download } from './download.ts'
import { sha256Of } from './fetch.ts'
import { thisMachine } from './machine.ts'
import type { FetchedTool } from './tools.ts'

/**
 * After a version was changed: fetches the tool without verifying it, and gives the pins of its files as lines to be
 * read and put into `pins.ts` (Kafka) or `tools.ts`. Envoy's differ by architecture: this one's are given.
 */
export async function pinsOf(tool: FetchedTool, onLine: (line: string) => void): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'parley-pin-'))
  try {
    const machine = thisMachine()
    const { clients } = await findClients(machine, [tool])
    const files = await download(tool, work, { machine, clients, onLine })
    const names = (await readdir(files)).sort()
    const lines = names.map(async (name) => `  '${name}': '${await sha256Of(join(files, name))}',\n`)
    return (await Promise.all(lines)).join('')
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
