import type { Api, MethodOf } from './api.ts'
import type { CallPolicy } from './policy.ts'

/** A synchronous edge: this service calls these methods of that interface, under this policy. */
export type CallEdge<A extends Api = Api, M extends string = string> = {
  readonly kind: 'calls'
  readonly api: A
  readonly methods: readonly M[]
  readonly policy: CallPolicy
}

/**
 * Declares calls to some methods of an interface; whichever service exposes it is the callee. Methods with different
 * policies are declared in several edges.
 */
export function calls<const A extends Api, const M extends MethodOf<A>>(
  api: A,
  methods: readonly M[],
  policy: CallPolicy = {},
): CallEdge<A, M> {
  return { kind: 'calls', api, methods, policy }
}
