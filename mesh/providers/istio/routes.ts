import { type Fault, faultAt } from '#plan/fault.ts'
import type { Link, MethodRef, PlannedRetry, Protocol } from '#plan/plan.ts'
import { hostOf, ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { ruleFault } from './faults.ts'
import { methodMatch } from './match.ts'
import { duration, istioObject, type Spec } from './objects.ts'
import { noRetry, retries } from './retries.ts'

/**
 * How a service's host is called, by all its callers: two objects for one host would not be merged. Each caller has rules
 * of its own and gets no other. What no rule names goes to the callee untried twice, and is refused there.
 */
export function calleeRoutes(
  site: Site,
  callee: string,
  links: readonly Link[],
  faults: readonly Fault[],
): readonly Manifest[] {
  if (links.length === 0) return []
  const host = hostOf(site, callee)
  const route = [destination(host, ports.app)]
  const rules = links.flatMap((link) =>
    link.routes.flatMap(({ methods, deadlineMs, retry }) => {
      const { from, to, protocol } = link
      return methodRules({ caller: from, callee: to, protocol, methods, deadlineMs, retry, route }, faults)
    }),
  )
  const spec = { hosts: [host], exportTo: ['.'], http: [...rules, { retries: noRetry, route }] }
  return [istioObject(site, 'VirtualService', { name: callee, owner: callee, spec })]
}

/** Methods that one caller asks of one host under one policy. */
export type Asked = {
  readonly caller: string
  /** The callee, or the external, by name. */
  readonly callee: string
  readonly protocol: Protocol
  readonly methods: readonly MethodRef[]
  readonly deadlineMs: number
  readonly retry: PlannedRetry | null
  readonly route: readonly Spec[]
}

/** One rule for the methods, and one for each that a fault of its own hits. */
export function methodRules(asked: Asked, faults: readonly Fault[]): readonly Spec[] {
  const { caller, callee, protocol, methods, deadlineMs, route } = asked
  const rule = (some: readonly MethodRef[], fault: Spec): Spec => ({
    match: some.map((method) => methodMatch(caller, method)),
    timeout: duration(deadlineMs),
    retries: retries(asked.retry, protocol),
    ...fault,
    route,
  })
  if (faults.length === 0) return [rule(methods, {})]
  return methods.map((method) => {
    const fault = faultAt(faults, { at: 'caller', from: caller, to: callee, path: method.path })
    return rule([method], fault ? ruleFault(fault, protocol) : {})
  })
}

/** Where a rule leads. */
export function destination(host: string, port: number): Spec {
  return { destination: { host, port: { number: port } } }
}
