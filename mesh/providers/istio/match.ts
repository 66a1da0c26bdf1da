import type { MethodRef } from '#plan/plan.ts'
import type { Spec } from './objects.ts'

/** A path in an AuthorizationPolicy: exact, or a template in which `{*}` stands for one segment that is not empty. */
export function policyPath(path: string): string {
  return path.replaceAll(/\{[^}]*\}/g, '{*}')
}

/** A VirtualService's match on one method of one caller: its path, whole and without the query, and its verb. */
export function methodMatch(caller: string, { verb, path }: MethodRef): Spec {
  return {
    sourceLabels: { app: caller },
    method: { exact: verb },
    uri: path.includes('{') ? { regex: pathRegex(path) } : { exact: path },
  }
}

/** A matcher of Envoy's on the header `:path`, which has the query in it. */
export function pathHeader(paths: readonly string[]): Spec {
  return { name: ':path', string_match: { safe_regex: { regex: pathsRegex(paths) } } }
}

/** A pattern for any of some paths, with or without a query. */
export function pathsRegex(paths: readonly string[]): string {
  const patterns = [...new Set(paths)].map(pathRegex)
  return `${patterns.length === 1 ? patterns[0] : `(?:${patterns.join('|')})`}(?:\\?.*)?`
}

/** A host as it stands in `:authority`, with or without a port. */
export function authorityRegex(host: string): string {
  return `${escaped(host)}(?::[0-9]+)?`
}

function pathRegex(path: string): string {
  return path
    .split(/(\{[^}]*\})/)
    .map((part) => (part.startsWith('{') ? '[^/]+' : escaped(part)))
    .join('')
}

function escaped(text: string): string {
  return text.replace(/[.*+?^$()[\]{}\\|]/g, '\\$&')
}
