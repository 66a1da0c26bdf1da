import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { parseSync } from '@swc/core'

/** The checkout. */
export const rootDir = join(import.meta.dirname, '..')

/** A TypeScript file of ours: its path from the root with forward slashes, its text, and what it imports of ours; `reads` are single names, as `path name`, or `path *`. */
export type Source = {
  readonly path: string
  readonly text: string
  readonly lines: number
  readonly imports: readonly string[]
  readonly reads: readonly string[]
}

/** Every TypeScript file that git tracks or would track, generated ones left out. */
export function sources(): Source[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
    cwd: rootDir,
    encoding: 'utf8',
  })
  const aliases = importAliases()
  return listed
    .split('\n')
    .filter((path) => path !== '' && !path.startsWith('proto/gen/'))
    .flatMap((path) => {
      const text = readIfThere(path)
      return text === null
        ? []
        : [
            {
              path,
              text,
              lines: text.split('\n').length - 1,
              imports: importsOf(path, text, aliases),
              reads: readsOf(path, text, aliases),
            },
          ]
    })
}

/** A function and how many lines it takes. */
export type FunctionSize = { readonly path: string; readonly line: number; readonly lines: number }

/** The length of every function with a body of its own; a `describe` or `test` callback is not counted, its content is. */
export function functionSizes(source: Source): FunctionSize[] {
  const bytes = Buffer.from(source.text)
  const module = parseSync(source.text, { syntax: 'typescript', target: 'es2024' })
  const lineAt = (offset: number) => bytes.subarray(0, offset).toString().split('\n').length
  // swc counts positions on from file to file, so the first one of this module is its zero.
  const start = module.span.start - leadingBytes(source.text)
  return functionSpans(module).map(({ from, to }) => {
    const line = lineAt(from - start)
    return { path: source.path, line, lines: lineAt(to - start) - line + 1 }
  })
}

function leadingBytes(text: string): number {
  // The module's span begins at its first token, behind comments and blank lines.
  const withoutComments = text.match(/^(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/|#![^\n]*)*/)?.[0] ?? ''
  return Buffer.byteLength(withoutComments)
}

const functionTypes = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ClassMethod',
  'MethodProperty',
])

function functionSpans(node: unknown, found: { from: number; to: number }[] = []): { from: number; to: number }[] {
  if (typeof node !== 'object' || node === null) return found
  if (Array.isArray(node)) {
    for (const inner of node) functionSpans(inner, found)
    return found
  }
  const { type, span } = node as { type?: string; span?: { start: number; end: number } }
  if (type && span && functionTypes.has(type)) found.push({ from: span.start, to: span.end })
  for (const inner of Object.values(node)) functionSpans(inner, found)
  return found
}

function importsOf(path: string, text: string, aliases: ReadonlyMap<string, string>): string[] {
  const specifiers = [...text.matchAll(/(?:from|import|import\()\s*'([^']+)'/g)].map((match) => match[1] ?? '')
  return specifiers.flatMap((specifier) => pathOf(path, specifier, aliases))
}

/** An import without a list of names reads all of them. */
function readsOf(path: string, text: string, aliases: ReadonlyMap<string, string>): string[] {
  const imports = [
    ...text.matchAll(/(?:\b(?:im|ex)port\s+(?:type\s+)?\{([^}]*)\}\s*from|from|import|import\()\s*'([^']+)'/g),
  ]
  return imports.flatMap(([, list, specifier = '']) => {
    const names = list?.split(',').map(
      (one) =>
        one
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s/)[0] ?? '',
    ) ?? ['*']
    return pathOf(path, specifier, aliases).flatMap((from) => names.map((name) => `${from} ${name}`))
  })
}

function pathOf(path: string, specifier: string, aliases: ReadonlyMap<string, string>): string[] {
  if (specifier.startsWith('.')) return [posix.normalize(posix.join(dirname(path), specifier))]
  const alias = [...aliases.keys()].find((prefix) => specifier.startsWith(prefix))
  return alias ? [`${aliases.get(alias)}${specifier.slice(alias.length)}`] : []
}

function importAliases(): Map<string, string> {
  const { imports } = JSON.parse(readFileSync(join(rootDir, 'package.json'), 'utf8')) as {
    imports: Record<string, string>
  }
  return new Map(
    Object.entries(imports).map(([from, to]) => [from.replace('*', ''), to.replace('./', '').replace('*', '')]),
  )
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(join(rootDir, path), 'utf8')
  } catch {
    // Listed by git, deleted in the work tree.
    return null
  }
}
