import type { MethodRef } from '#plan/plan.ts'
import type { Config } from './config.ts'

/** A path as a string matcher: exact, or a pattern in which each `{name}` stands for one segment that is not empty. */
export function pathMatch(path: string): Config {
  return path.includes('{') ? { safe_regex: { regex: pathRegex(path) } } : { exact: path }
}

/** A route's match on one method: its path, whole and without the query, and its verb. */
export function routeMatch(method: Pick<MethodRef, 'verb' | 'path'>): Config & { readonly headers: readonly Config[] } {
  return { ...routePath(method.path), headers: [{ name: ':method', string_match: { exact: method.verb } }] }
}

/** A route's match on a path, whatever the verb. */
export function routePath(path: string): Config {
  return path.includes('{') ? { safe_regex: { regex: pathRegex(path) } } : { path }
}

function pathRegex(path: string): string {
  return path
    .split(/(\{[^}]*\})/)
    .map((part) => (part.startsWith('{') ? '[^/]+' : part.replace(/[.*+?^$()[\]\\|]/g, '\\$&')))
    .join('')
}
