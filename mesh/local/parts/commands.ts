import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Layout } from '../layout.ts'

/**
 * Writes a small script for people, `<run>/bin/<name>`, that runs a part's usual tool against this run's part, with the
 * arguments that it is given appended. For the owner alone: it opens what only the owner may open.
 */
export async function writeCommand(
  layout: Layout,
  name: string,
  env: Readonly<Record<string, string>>,
  argv: readonly string[],
): Promise<void> {
  const folder = join(layout.runDir, 'bin')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const exports = Object.entries(env).map(([key, value]) => `export ${key}=${quoted(value)}\n`)
  const file = join(folder, name)
  await writeFile(file, `#!/bin/sh\n${exports.join('')}exec ${argv.map(quoted).join(' ')} "$@"\n`, { mode: 0o700 })
  await chmod(file, 0o700)
}

function quoted(text: string): string {
  return /^[\w./:=@,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
