/** The rendered files on disk: written so that a change of the declaration is reviewed as a diff, and held against it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Files } from '#cdk8s/files.ts'

/** A file that is not as it should be. */
export type Difference = {
  readonly path: string
  readonly how: 'missing' | 'changed' | 'left over'
  /** The first line that differs, for `changed`. */
  readonly line?: { readonly number: number; readonly found: string; readonly expected: string }
}

/** What differs between a folder and the files that belong there, by path. Empty when it is fresh. */
export function differences(dir: string, files: Files): readonly Difference[] {
  const wrong = [...files].flatMap(([path, text]): Difference[] => {
    const found = readIfThere(join(dir, path))
    if (found === null) return [{ path, how: 'missing' }]
    return found === text ? [] : [{ path, how: 'changed', line: firstDifference(found, text) }]
  })
  const leftOver = rendered(dir).filter((path) => !files.has(path))
  return [...wrong, ...leftOver.map((path): Difference => ({ path, how: 'left over' }))]
}

/** Makes a folder hold exactly these files; what is equal is not touched. Gives what had to be changed. */
export function write(dir: string, files: Files): readonly Difference[] {
  const changes = differences(dir, files)
  const written = changes.filter(({ how }) => how !== 'left over').map(({ path }) => path)
  for (const folder of new Set(written.map((path) => dirname(join(dir, path))))) mkdirSync(folder, { recursive: true })
  for (const path of written) writeFileSync(join(dir, path), files.get(path) ?? '')
  for (const { path, how } of changes) if (how === 'left over') rmSync(join(dir, path))
  return changes
}

function rendered(dir: string): readonly string[] {
  if (!existsSync(dir)) return []
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort()
}

function firstDifference(found: string, expected: string): NonNullable<Difference['line']> {
  const [left, right] = [found.split('\n'), expected.split('\n')]
  const index = left.findIndex((line, at) => line !== right[at])
  const at = index < 0 ? left.length : index
  return { number: at + 1, found: left[at] ?? '', expected: right[at] ?? '' }
}

function readIfThere(file: string): string | null {
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}
