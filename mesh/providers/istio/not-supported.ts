import type { Egress, Link, Plan, PlannedExposure, PlannedRetry, PlannedService } from '#plan/plan.ts'
import { standsIn } from '#providers/cluster.ts'
import type { NotSupported } from '#providers/manifest.ts'
import { capabilities } from './capabilities.ts'
import { backoffGrowth } from './retries.ts'

/** Lists what of a plan Istio's sidecars do not do, or do otherwise than the local ones, to be printed where it is rendered. */
export function notSupported(plan: Plan): readonly NotSupported[] {
  const protocols = new Map(plan.externals.map(({ name, protocol }) => [name, protocol]))
  return [
    ...plan.links.flatMap(ofLink),
    ...plan.egress.flatMap((egress) => ofEgress(egress, protocols.get(egress.external) ?? 'http')),
    ...onePort(plan),
    ...plan.services.flatMap(ofService),
    ...plan.exposures.flatMap(ofExposure),
    ...(plan.links.some(({ protocol }) => protocol === 'grpc') ? [pending] : []),
    ...(plan.links.some(({ protocol }) => protocol === 'http') ? [untold] : []),
  ]
}

const pending: NotSupported = {
  where: 'calls over gRPC',
  what: 'limits.pendingMax',
  reason: capabilities.concurrency.but.pending,
}

const untold: NotSupported = {
  where: 'calls over REST',
  what: 'telling a callee how long its answer is waited for, where the caller does not',
  reason: capabilities.deadline.but.untold,
}

function ofLink({ from, to, protocol, routes }: Link): readonly NotSupported[] {
  const where = `calls of ${from} to ${to}`
  const retries = routes.flatMap(({ retry }) => (retry ? [retry] : []))
  const budgets = new Set(retries.map(({ budget }) => `${budget.percent} ${budget.concurrentMin}`))
  const mixed: NotSupported = {
    where,
    what: 'a retry budget of each edge',
    reason: capabilities.retryBudget.but.shared,
  }
  return [
    ...(budgets.size > 1 ? [mixed] : []),
    ...distinct(retries.flatMap((retry) => ofRetry(where, retry, protocol))),
  ]
}

function ofEgress({ from, external, retry }: Egress, protocol: 'http' | 'tcp'): readonly NotSupported[] {
  const where = `${from} reaching ${external}`
  if (protocol === 'http') return retry ? ofRetry(where, retry, protocol) : []
  const reason = capabilities.egressPolicy.but.tcp
  return [{ where, what: retry ? 'deadline and retries' : 'deadline', reason }]
}

/** Over TCP nothing but the port tells one system outside from another, where no Service of the cluster plays it. */
function onePort({ environment, egress, externals }: Plan): readonly NotSupported[] {
  const real = externals.filter((external) => external.protocol === 'tcp' && !standsIn({ environment }, external))
  const ports = new Map(real.map(({ name, port }) => [name, port]))
  const first = new Map<string, string>()
  return egress.flatMap(({ from, external }) => {
    const port = ports.get(external)
    if (port === undefined) return []
    const before = first.get(`${from} ${port}`)
    if (before === undefined) {
      first.set(`${from} ${port}`, external)
      return []
    }
    const reason = `the sidecar listens on port ${port} for one of them; its DNS proxy (ISTIO_META_DNS_CAPTURE) tells them apart`
    return [{ where: `${from} reaching ${before} and ${external}`, what: 'two TCP systems at one port', reason }]
  })
}

function ofRetry(where: string, { backoff, budget, on }: PlannedRetry, protocol: 'grpc' | 'http'): NotSupported[] {
  const longest = backoff.baseMs * backoffGrowth
  return [
    ...(backoff.maxMs === longest
      ? []
      : [{ where, what: 'backoff.maxMs', reason: `${capabilities.backoff.but.longest}: ${longest} ms` }]),
    ...(budget.concurrentMin === 0
      ? [{ where, what: 'budget.concurrentMin 0', reason: capabilities.retryBudget.but.none }]
      : []),
    ...(protocol === 'http' && on.includes('cancelled')
      ? [{ where, what: 'retrying on cancelled', reason: capabilities.retry.but.cancelled }]
      : []),
  ]
}

function ofService({ name, replicas, rateLimit }: PlannedService): readonly NotSupported[] {
  if (!rateLimit || replicas < 2) return []
  const reason = `${capabilities.serviceRate.but.perReplica}, so together they take ${replicas} times the rate`
  return [{ where: `service ${name}`, what: 'one rate for all replicas', reason }]
}

function ofExposure({ name, methods }: PlannedExposure): readonly NotSupported[] {
  const rest = methods.some(({ name: method }) => method === 'openapi')
  if (!rest) return []
  const reason = capabilities.edge.but.wrongVerb
  return [{ where: `exposure ${name}`, what: 'refusing a wrong verb with 405', reason }]
}

function distinct(found: readonly NotSupported[]): readonly NotSupported[] {
  return [...new Map(found.map((item) => [item.what, item])).values()]
}
