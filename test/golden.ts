import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { stringify } from 'yaml'

/**
 * Holds a case's output against the files of its folder: the same names, the same texts, none more. `UPDATE_GOLDEN=1`
 * writes the folder anew instead, for the difference to be read in review.
 */
export function expectGolden(folder: string, files: Readonly<Record<string, string>>): void {
  if (process.env.UPDATE_GOLDEN === '1') {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    return
  }
  const there = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
  expect(files).toEqual(there)
}

/** Plain objects as golden files hold them: YAML, which reads well in a difference. The names are given without ending. */
export function yamlFiles(objects: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(objects).map(([name, value]) => [`${name}.yaml`, stringify(value, yaml)]))
}

const yaml = { lineWidth: 0, aliasDuplicateObjects: false } as const
