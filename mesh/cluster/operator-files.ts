import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type Operators, operatorsDir, parseOperators } from '#cdk8s/operators.ts'
import type { EnvironmentName } from '#graph/environment.ts'

/** Reads the list of operators with the values of one environment. `rootDir` is the checkout. Throws an OperatorsError for what cannot be used. */
export function readOperators(rootDir: string, environment: EnvironmentName): Operators {
  const dir = join(rootDir, operatorsDir)
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.yaml'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !relative(dir, file).startsWith('manifests/'))
  return parseOperators(
    Object.fromEntries(files.map((file) => [relative(dir, file), readFileSync(file, 'utf8')])),
    environment,
  )
}
