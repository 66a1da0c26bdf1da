import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { rootDir } from './sources.ts'

describe('the generated code', () => {
  let copy: string

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'parley-proto-'))
    cpSync(join(rootDir, 'proto'), join(copy, 'proto'), { recursive: true, filter: (path) => !path.endsWith('/gen') })
    symlinkSync(join(rootDir, 'node_modules'), join(copy, 'node_modules'))
    // The plugin is a script that asks the path for its interpreter.
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` }
    const buf = join(rootDir, 'node_modules/@bufbuild/buf/bin/buf')
    execFileSync(process.execPath, [buf, 'generate'], { cwd: join(copy, 'proto'), env, stdio: 'pipe' })
  })
  afterAll(() => rmSync(copy, { recursive: true, force: true }))

  test('is what the contracts generate today (otherwise: cd proto && npx buf generate)', () => {
    expect(contents(join(rootDir, 'proto/gen'))).toEqual(contents(join(copy, 'proto/gen')))
  })
})

function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort()
  return Object.fromEntries(paths.map((path) => [relative(folder, path), readFileSync(path, 'utf8')]))
}
