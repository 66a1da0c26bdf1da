import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootDir } from '../sources.ts'

/** A CustomResourceDefinition as text, with what it is found by. */
export type Crd = {
  readonly group: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
  readonly yaml: string
}

/** Where the CRDs of the operators lie: `PARLEY_CRDS`, or `../shared/crds` beside the checkout. Null where there are none. */
export function findCrds(): string | null {
  const folder = process.env.PARLEY_CRDS ?? join(rootDir, '../shared/crds')
  return existsSync(folder) ? folder : null
}

/** Reads every definition below a folder. Only its own few names are read out; the rest is for the server to parse. */
export function readCrds(folder: string): readonly Crd[] {
  return globSync('**/*.yaml', { cwd: folder })
    .sort()
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').split(/^---.*$/m))
    .filter((text) => /^kind: CustomResourceDefinition$/m.test(text))
    .map((text) => ({
      group: field(text, 'group'),
      kind: field(text, 'kind', 4),
      plural: field(text, 'plural', 4),
      namespaced: field(text, 'scope') === 'Namespaced',
      yaml: text,
    }))
}

function field(text: string, name: string, indent = 2): string {
  const found = new RegExp(`^ {${indent}}${name}: ["']?([^"'\\s]+)`, 'm').exec(text)?.[1]
  if (found === undefined) throw new Error(`A CRD has no ${name}:\n${text.slice(0, 300)}`)
  return found
}
