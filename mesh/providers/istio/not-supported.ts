import type { Egress, Link, Plan, PlannedExposure, PlannedRetry, PlannedService } from '#plan/plan.ts'
import { standsIn, webhookPort } from '#providers/cluster.ts'
import type { NotSupported } from '#providers/manifest.ts'
import { capabilities } from './capabilities.ts'
import { backoffGrowth } from './retries.ts'

/** Lists what of a plan Istio's sidecars do not do, or do otherwise than the local ones, to be printed where it is rendered. */
export function notSupported(plan: Plan): readonly NotSupported[] {
  const services = new Map(plan.services.map((service) => [service.name, service]))
  const protocols = new Map(plan.externals.map(({ name, protocol }) => [name, protocol]))
  return [
    ...plan.links.flatMap(ofLink),
    ...plan.egress.flatMap((egress) => ofEgress(egress, protocols.get(egress.external) ?? 'http')),
    ...onePort(plan),
    ...plan.services.flatMap(ofService),
    ...plan.exposures.flatMap((exposure) => ofExposure(exposure, services.get(exposure.service))),
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
function onePort({ environment, egress, externals, webhooks }: Plan): readonly NotSupported[] {
  const real = externals.filter((external) => external.protocol === 'tcp' && !standsIn({ environment }, external))
  const ports = new Map(real.map(({ name, port }) => [name, port]))
  const first = new Map(webhooks.map(({ service }) => [`${service} ${webhookPort}`, 'its subscribers']))
  return egress.flatMap(({ from, external }) => {
    const port = ports.get(external)
    if (port === undefined) return []
    const before = first.get(`${from} ${port}`)
    if (before === undefined) {
      first.set(`${from} ${port}`, external)
      return []
    }
    const where = `${from} reaching ${before} and ${external}`
    return [{ where, what: `two TCP systems at port ${port}`, reason: capabilities.egress.but.onePort }]
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
  return rateLimit ? perReplica(`service ${name}`, replicas, capabilities.serviceRate.but.perReplica) : []
}

function ofExposure(
  { name, rateLimit, grpcWeb }: PlannedExposure,
  service: PlannedService | undefined,
): readonly NotSupported[] {
  const where = `exposure ${name}`
  const wrongVerb = { where, what: 'refusing a wrong verb with 405', reason: capabilities.edge.but.wrongVerb }
  return [
    ...(service?.protocol === 'http' ? [wrongVerb] : []),
    ...(grpcWeb ? [{ where, what: 'refusing raw gRPC', reason: capabilities.edge.but.wire }] : []),
    ...(rateLimit ? perReplica(where, service?.replicas ?? 1, capabilities.edgeRate.but.perReplica) : []),
  ]
}

function perReplica(where: string, replicas: number, why: string): readonly NotSupported[] {
  if (replicas < 2) return []
  const reason = `${why}, so together they take ${replicas} times the rate`
  return [{ where, what: 'one rate for all replicas', reason }]
}

function distinct(found: readonly NotSupported[]): readonly NotSupported[] {
  return [...new Map(found.map((item) => [item.what, item])).values()]
}
