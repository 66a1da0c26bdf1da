import { type Fault, faultAt } from '#plan/fault.ts'
import type { Link, MethodRef, PlannedRetry, Protocol } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { hostOf, ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { envoyFilter, mergeNamedRoute } from './config.ts'
import { ruleFault } from './faults.ts'
import { methodMatch } from './match.ts'
import { duration, istioObject, nameOf, type Spec } from './objects.ts'
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
    link.routes.flatMap(({ methods, deadlineMs, idleMs, retry }) => {
      const { from, to, protocol } = link
      const asked = { caller: from, callee: to, protocol, retry, route }
      const [streams, whole] = split(methods, ({ streaming }) => streaming)
      return [
        ...methodRules({ ...asked, methods: whole, deadlineMs }, faults),
        ...(idleMs === null ? [] : streamRules({ ...asked, methods: streams, deadlineMs }, idleMs, faults)),
      ]
    }),
  )
  const spec = { hosts: [host], exportTo: ['.'], http: [...rules, { retries: noRetry, route }] }
  return [istioObject(site, 'VirtualService', { name: callee, owner: callee, spec })]
}

/**
 * The bound on the silence of one service's streams, which a VirtualService cannot say. Where others than streams go, callers
 * are outrun by a moment (see `sidecars`); who ends a stream at its deadline is the caller.
 */
export function streamBounds(site: Site, { service, calls }: ServiceSlice): readonly Manifest[] {
  const bounds = new Set(
    calls.flatMap(({ routes }) => routes.flatMap(({ idleMs }) => (idleMs === null ? [] : [idleMs]))),
  )
  if (bounds.size === 0) return []
  // A duration of 0 would not be merged.
  const notOutrun = '0.000000001s'
  const patches = [...bounds].map((idleMs) =>
    mergeNamedRoute(streamRoute(idleMs), { idle_timeout: duration(idleMs), grpc_timeout_offset: notOutrun }),
  )
  const filter = { name: nameOf(service.name, 'streams'), owner: service.name, priority: 20, patches }
  return [envoyFilter(site, { service: service.name }, filter)]
}

/** The rules of streams, by whose name their silence is bounded. */
function streamRules(asked: Asked, idleMs: number, faults: readonly Fault[]): readonly Spec[] {
  // What a proxy cuts in the middle looks like a failure, so it does so later than the caller would by its own clock.
  const deadlineMs = asked.deadlineMs + laterMs
  return methodRules({ ...asked, deadlineMs }, faults).map((rule) => ({ name: streamRoute(idleMs), ...rule }))
}

const laterMs = 1_000

function streamRoute(idleMs: number): string {
  return `stream-idle-${idleMs}`
}

function split<T>(items: readonly T[], which: (item: T) => boolean): [T[], T[]] {
  return [items.filter(which), items.filter((item) => !which(item))]
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
  if (methods.length === 0) return []
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
