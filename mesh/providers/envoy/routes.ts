import { type Fault, faultAt } from '#plan/fault.ts'
import type { Link, LinkRoute, MethodRef, Plan, Protocol } from '#plan/plan.ts'
import { identityOf } from './authorization.ts'
import type { Config } from './config.ts'
import { egressOf, type Reach } from './egress.ts'
import { faultOf } from './faults.ts'
import { deadline, streamLife, tellTimeout } from './http.ts'
import { routeMatch } from './match.ts'
import { callerKey } from './mtls.ts'
import { applicationCluster, calleeCluster, externalCluster } from './names.ts'
import { retryPolicy } from './retries.ts'

/** The routes of the application's own calls: each declared method of each declared callee, and a refusal of all else. */
export function outboundRoutes(plan: Plan, service: string, faults: readonly Fault[]): Config {
  const links = plan.links.filter((link) => link.from === service)
  const reached = egressOf(plan, service).filter(({ external }) => external.protocol === 'http')
  const known = [...links.map((link) => link.to), ...reached.map(({ external }) => external.host)]
  return routeConfiguration('outbound', [
    ...links.map((link) => calleeHost(link, faults)),
    ...reached.map((reach) => externalHost(reach, faults)),
    refusingHost(`${service} declares no call to this host; it declares ${listed(known)}`),
  ])
}

/**
 * The routes of what others call: all to the application, for authorization has been decided; apart where faults hit.
 * There is no timeout here: the caller's sidecar ends the call at its deadline, and two clocks that run out in the same
 * millisecond would make its outcome a matter of luck. The application is told the deadline and may stop by itself.
 */
export function inboundRoutes(plan: Plan, service: string, faults: readonly Fault[]): Config {
  const route = { cluster: applicationCluster, timeout: '0s' }
  const callers = plan.links.filter((link) => link.to === service)
  return routeConfiguration('inbound', [
    {
      name: 'application',
      domains: ['*'],
      routes: [
        ...callers.flatMap((link) => faultyRoutes(plan, link, faults, route)),
        { match: { prefix: '/' }, route },
      ],
    },
  ])
}

/** A route configuration, as a listener holds it. */
export function routeConfiguration(name: string, hosts: readonly Config[]): Config {
  return { name, virtual_hosts: hosts }
}

function calleeHost(link: Link, faults: readonly Fault[]): Config {
  const methods = link.routes.flatMap((route) => route.methods)
  return {
    name: link.to,
    domains: [link.to],
    routes: [
      ...link.routes.flatMap((route) => route.methods.map((method) => methodRoute(link, route, method, faults))),
      refusal(`${link.from} declares no such call to ${link.to}; it declares ${listed(methods.map(signature))}`),
    ],
  }
}

function methodRoute(link: Link, route: LinkRoute, method: MethodRef, faults: readonly Fault[]): Config {
  const fault = faultAt(faults, { at: 'caller', from: link.from, to: link.to, path: method.path })
  return {
    match: routeMatch(method),
    route: {
      cluster: calleeCluster(link.to),
      ...(method.streaming && route.idleMs !== null
        ? streamLife(route.deadlineMs, route.idleMs)
        : deadline(route.deadlineMs, link.protocol)),
      ...(route.retry ? { retry_policy: retryPolicy(route.retry, link.protocol) } : {}),
    },
    ...tellTimeout(route.retry?.perTryTimeoutMs ?? route.deadlineMs, link.protocol, 'trusted'),
    ...(fault ? { typed_per_filter_config: faultOf(fault, link.protocol) } : {}),
  }
}

function externalHost({ egress, external }: Reach, faults: readonly Fault[]): Config {
  const { name, host, port, routes } = external
  const faulty = (path: string): Config => {
    const fault = faultAt(faults, { at: 'caller', from: egress.from, to: name, path })
    return fault ? { typed_per_filter_config: faultOf(fault, 'http') } : {}
  }
  return {
    name,
    domains: [host, `${host}:${port}`],
    routes: [
      ...routes.map((method) => ({
        match: routeMatch(method),
        route: {
          cluster: externalCluster(name),
          ...deadline(egress.deadlineMs, 'http'),
          ...(egress.retry ? { retry_policy: retryPolicy(egress.retry, 'http') } : {}),
        },
        ...faulty(method.path),
      })),
      refusal(`${egress.from} declares no such call to ${name}; it declares ${listed(routes.map(signature))}`),
    ],
  }
}

function faultyRoutes(plan: Plan, link: Link, faults: readonly Fault[], route: Config): readonly Config[] {
  const methods = link.routes.flatMap((one) => one.methods)
  return methods.flatMap((method) => {
    const fault = faultAt(faults, { at: 'callee', from: link.from, to: link.to, path: method.path })
    return fault ? [faultyRoute(fault, method, link.protocol, identityOf(plan, link.from), route)] : []
  })
}

function faultyRoute(fault: Fault, method: MethodRef, protocol: Protocol, caller: string, route: Config): Config {
  return {
    match: { ...routeMatch(method), filter_state: [{ key: callerKey, string_match: { exact: caller } }] },
    route,
    typed_per_filter_config: faultOf(fault, protocol),
  }
}

function refusingHost(message: string): Config {
  return { name: 'undeclared', domains: ['*'], routes: [refusal(message)] }
}

/** Answered by the caller's own sidecar: 403, which gRPC clients see as PERMISSION_DENIED with the message. */
function refusal(message: string): Config {
  return { match: { prefix: '/' }, direct_response: { status: 403, body: { inline_string: message } } }
}

function signature({ verb, path }: MethodRef): string {
  return `${verb} ${path}`
}

/** A list in words. Envoy bounds an answer's body to 4 KiB, so a long list is cut. */
function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const whole = names.join(', ')
  return whole.length <= 2_000 ? whole : `${whole.slice(0, 2_000)}…`
}
