import type { MethodRef } from '#plan/plan.ts'

/**
 * A match of an HTTPRoute on one method: verb and path. A path with names in it is a regular expression, which Linkerd's
 * proxy holds against the whole path.
 */
export function httpMatch({ verb, path }: Pick<MethodRef, 'verb' | 'path'>): object {
  return {
    path: path.includes('{') ? { type: 'RegularExpression', value: pathRegex(path) } : { type: 'Exact', value: path },
    method: verb,
  }
}

/** A match of a GRPCRoute on one method, whose path is `/package.Service/Method`. */
export function grpcMatch({ path }: Pick<MethodRef, 'path'>): object {
  const [, service = '', method = ''] = path.split('/')
  return { method: { type: 'Exact', service, method } }
}

/** A match of a GRPCRoute on every method of the gRPC service that a path belongs to. */
export function grpcServiceMatch(service: string): object {
  return { method: { type: 'Exact', service } }
}

/** A match of an HTTPRoute on everything. It is the weakest, so any other that matches comes first. */
export const everything: object = { path: { type: 'PathPrefix', value: '/' } }

/**
 * Whether two paths can mean the same request. Linkerd holds an exact path and a pattern for equally good and lets the
 * older route win, so where both are declared the outcome is not the declaration's.
 */
export function pathsOverlap(a: string, b: string): boolean {
  const [left, right] = [a.split('/'), b.split('/')]
  if (left.length !== right.length) return false
  return left.every((segment, index) => {
    const other = right[index] ?? ''
    return segment === other || (isName(segment) && other !== '') || (isName(other) && segment !== '')
  })
}

function isName(segment: string): boolean {
  return segment.startsWith('{')
}

function pathRegex(path: string): string {
  return path
    .split(/(\{[^}]*\})/)
    .map((part) => (part.startsWith('{') ? '[^/]+' : part.replace(/[.*+?^$()[\]\\|]/g, '\\$&')))
    .join('')
}
