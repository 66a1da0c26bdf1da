import type { Breaker, RateLimit } from '#graph/policy.ts'
import type { Fault } from '#plan/fault.ts'
import type { Egress, Plan, PlannedExposure, PlannedExternal, PlannedRetry } from '#plan/plan.ts'
import { type ServiceSlice, slicesOf } from '#plan/slices.ts'
import { ports, standsIn } from '#providers/cluster.ts'
import type { NotSupported } from '#providers/manifest.ts'
import { loosestBreaker } from './breaker.ts'
import { capabilities } from './capabilities.ts'
import { seenInPlain } from './egress.ts'
import { faultRefusal } from './faults.ts'
import { edgeRateOf } from './limits.ts'
import { pathsOverlap } from './match.ts'
import { methodKey } from './names.ts'
import { sharedRetry } from './retries.ts'
import { calledMethods, type Wish } from './routes.ts'

const {
  access,
  bodySize,
  edge,
  edgeRate,
  tokens,
  backoff,
  breaker,
  concurrency,
  deadline,
  egress,
  egressPolicy,
  faults,
  retry,
  retryBudget,
  serviceRate,
  streams,
  tracing,
} = capabilities

/**
 * Lists what of a plan Linkerd does not do, to be printed where it is rendered. What is wanting of every call is said once,
 * with the calls that it concerns.
 */
export function notSupported(plan: Plan): readonly NotSupported[] {
  const slices = [...slicesOf(plan).values()]
  return [
    ...ofAllCalls(plan),
    ...slices.flatMap(ofCallee),
    ...slices.flatMap(({ egress: reached }) => reached.flatMap((one) => ofEgress(plan, one))),
    ...ofSharedEgress(plan),
    ...(plan.traceSampling < 1
      ? [{ where: 'system', what: 'sampling by the mesh', reason: tracing.but.sampling }]
      : []),
  ]
}

/**
 * What of a fault on the slice's service is not done: the whole of it, so that an experiment does not hit others or prove
 * less than it says; or, of one that is made, what it does not show.
 */
export function faultNotSupported(slice: ServiceSlice, fault: Fault): NotSupported {
  const where = `fault ${fault.from} → ${fault.to}`
  const refusal = faultRefusal(slice, fault)
  if (refusal) return { where, what: `${fault.effect.kind} at the ${fault.at}`, reason: faults.but[refusal] }
  return { where, what: 'failures that the breaker counts', reason: faults.but.breaker }
}

function ofAllCalls(plan: Plan): readonly NotSupported[] {
  const calls = callsOf(plan)
  const called = (which: (call: Call) => boolean) => calls.filter(which).map(({ from, to }) => `${from} → ${to}`)
  const retries = (which: (retry: PlannedRetry) => boolean) =>
    called((call) => call.retries.some((retry) => retry !== null && which(retry)))
  const always = () => true
  return [
    ...said(called(always), 'limits on what is under way and waiting', concurrency.notSupported),
    ...said(
      called(({ grpc }) => grpc),
      'a breaker that counts failures of the callee alone',
      breaker.but.denied,
    ),
    ...said(
      called(({ lone }) => lone),
      'a breaker that refuses at once',
      breaker.but.lone,
    ),
    ...said(retries(always), 'retry budget', retryBudget.notSupported),
    ...said(
      retries(({ attempts }) => attempts > 1),
      'time for the last attempt',
      retry.but.lastTry,
    ),
    ...said(retries(otherReasons), 'retry for the declared reasons alone', retry.but.unavailable),
    ...said(
      retries(({ backoff: { baseMs, maxMs } }) => baseMs !== 25 || maxMs !== 250),
      'backoff',
      backoff.but.other,
    ),
  ]
}

/** A call to a Service; `lone` says that one replica answers it. */
type Call = {
  readonly from: string
  readonly to: string
  readonly grpc: boolean
  readonly lone: boolean
  readonly retries: readonly (PlannedRetry | null)[]
}

/** The calls between services, and those that stand-ins answer in place of systems outside. */
function callsOf(plan: Plan): readonly Call[] {
  const lone = new Set(plan.services.filter(({ replicas }) => replicas === 1).map(({ name }) => name))
  const played = new Set(plan.externals.filter((one) => isPlayed(plan, one)).map(({ name }) => name))
  return [
    ...plan.links.map(({ from, to, protocol, routes }) => ({
      from,
      to,
      grpc: protocol === 'grpc',
      lone: lone.has(to),
      retries: routes.map((route) => route.retry),
    })),
    ...plan.egress
      .filter(({ external }) => played.has(external))
      .map(({ from, external: to, retry: one }) => ({ from, to, grpc: false, lone: true, retries: [one] })),
  ]
}

/** Whether a stand-in answers for a system outside in HTTP, as one more Service. */
function isPlayed(plan: Plan, external: PlannedExternal): boolean {
  return external.protocol === 'http' && standsIn(plan, external)
}

function otherReasons({ on }: PlannedRetry): boolean {
  return !on.includes('unavailable') && !on.includes('deadline-exceeded')
}

function said(calls: readonly string[], what: string, reason: string): readonly NotSupported[] {
  if (calls.length === 0) return []
  const shown = calls.slice(0, 5).join(', ')
  return [{ where: `calls ${shown}${calls.length > 5 ? ` and ${calls.length - 5} more` : ''}`, what, reason }]
}

/** What differs between the callers of one service, and its rate. */
function ofCallee(slice: ServiceSlice): readonly NotSupported[] {
  const { name, rateLimit } = slice.service
  return [
    ...calledMethods(slice).flatMap(({ method, wishes }) => ofMethod(`calls to ${name}.${method.name}`, wishes)),
    ...ofBreakers(`calls to ${name}`, slice.calledBy),
    ...(rateLimit ? ofRate(`service ${name}`, rateLimit, slice) : []),
    ...slice.exposures.flatMap((exposure) => ofExposure(exposure, slice)),
    ...overlaps(slice),
  ]
}

function ofRate(
  where: string,
  { perSecond, burst }: RateLimit,
  { service: { replicas } }: ServiceSlice,
): readonly NotSupported[] {
  const { burst: noBurst, perReplica } = serviceRate.but
  return [
    ...(burst > perSecond
      ? [{ where, what: `a burst of ${burst} beside ${perSecond} a second`, reason: noBurst }]
      : []),
    ...(replicas > 1 ? [{ where, what: `${perSecond} a second of all replicas together`, reason: perReplica }] : []),
  ]
}

function ofExposure(exposure: PlannedExposure, slice: ServiceSlice): readonly NotSupported[] {
  const { name, rateLimit, bodyBytesMax, authentication, methods, grpcWeb } = exposure
  const where = `exposure ${name}`
  // Nobody gets in, so that nothing else of it is wanting.
  if (authentication.kind === 'jwt') return [{ where, what: 'authentication by token', reason: tokens.notSupported }]
  const limited = slice.exposures.filter((one) => one.rateLimit).length
  const together = rateLimit !== null && limited > 1
  return [
    ...(rateLimit ? ofRate(where, rateLimit, slice) : []),
    ...(rateLimit && slice.service.rateLimit
      ? [{ where, what: 'a rate beside that of the service', reason: edgeRate.but.counted }]
      : []),
    ...(rateLimit?.perClient
      ? [{ where, what: `a rate of each of ${rateLimit.perClient.clientsMax} clients`, reason: edgeRate.but.clients }]
      : []),
    ...(together ? [{ where, what: 'a rate of its own', reason: edgeRate.but.together }] : []),
    ...(rateLimit && !edgeRateOf(slice)
      ? [{ where, what: 'a rate of all its methods', reason: edgeRate.but.unbounded }]
      : []),
    ...(slice.service.protocol === 'http'
      ? [{ where, what: 'refusing a wrong verb with 405', reason: edge.but.wrongVerb }]
      : [{ where, what: grpcWeb ? 'refusing raw gRPC' : 'refusing gRPC-Web', reason: edge.but.wire }]),
    ...(bodyBytesMax !== null && methods.some(({ streaming }) => streaming)
      ? [{ where, what: `bodies of at most ${bodyBytesMax} bytes`, reason: bodySize.but.streams }]
      : []),
  ]
}

function ofMethod(where: string, wishes: readonly Wish[]): readonly NotSupported[] {
  const deadlines = wishes.map(({ deadlineMs }) => deadlineMs)
  const retries = wishes.map(({ retry }) => attemptsOf(retry))
  const shared = sharedRetry(wishes.map(({ retry }) => retry))
  return [
    ...differing(where, 'deadline', wishes, ({ deadlineMs }) => `${deadlineMs} ms`, {
      differs: new Set(deadlines).size > 1,
      holds: `${Math.max(...deadlines)} ms`,
      reason: deadline.but.perCaller,
    }),
    ...differing(where, 'bound on silence', wishes, ({ idleMs }) => (idleMs ? `${idleMs} ms` : 'none'), {
      differs: new Set(wishes.map(({ idleMs }) => idleMs ?? null)).size > 1,
      holds: `${Math.max(...wishes.map(({ idleMs }) => idleMs ?? 0))} ms`,
      reason: streams.but.perCaller,
    }),
    ...differing(where, 'retry', wishes, ({ retry }) => attemptsOf(retry), {
      differs: new Set(wishes.map(({ retry }) => JSON.stringify(retry))).size > 1,
      holds: new Set(retries).size > 1 ? attemptsOf(shared) : `${attemptsOf(shared)}, of the rest what all agree on`,
      reason: retry.but.perCaller,
    }),
  ]
}

function ofBreakers(where: string, callers: readonly { from: string; breaker: Breaker }[]): readonly NotSupported[] {
  const loosest = loosestBreaker(callers.map((one) => one.breaker))
  if (!loosest) return []
  const written = ({ failures, openMs }: Breaker) => `${failures} failures and ${openMs} ms`
  return differing(where, 'breaker', callers, (one) => written(one.breaker), {
    differs: new Set(callers.map((one) => written(one.breaker))).size > 1,
    holds: written(loosest),
    reason: breaker.but.perCaller,
  })
}

function differing<T extends { readonly from: string }>(
  where: string,
  word: string,
  wishes: readonly T[],
  written: (wish: T) => string,
  { differs, holds, reason }: { readonly differs: boolean; readonly holds: string; readonly reason: string },
): readonly NotSupported[] {
  if (!differs) return []
  const declared = wishes.map((wish) => `${wish.from} ${written(wish)}`).join(', ')
  return [{ where, what: `a ${word} of each caller (${declared})`, reason: `${reason}: ${holds}` }]
}

function attemptsOf(retry: PlannedRetry | null): string {
  return retry ? `${retry.attempts} attempts` : 'no retry'
}

/** Paths of a service that can mean the same request, where one of them is a pattern and not only the gateway may ask for both. */
function overlaps({ service, calledBy }: ServiceSlice): readonly NotSupported[] {
  const inside = new Set(calledBy.flatMap(({ routes }) => routes.flatMap((route) => route.methods.map(methodKey))))
  const methods = service.apis.flatMap((api) => api.methods)
  return methods.flatMap((one, index) =>
    methods
      .slice(index + 1)
      .filter(({ verb, path }) => verb === one.verb && path !== one.path && pathsOverlap(path, one.path))
      .filter((other) => inside.has(methodKey(other)) || inside.has(methodKey(one)))
      .map(({ path }) => ({
        where: `service ${service.name}`,
        what: `${one.verb} ${one.path} told apart from ${path}`,
        reason: access.but.overlap,
      })),
  )
}

/**
 * What a service asks of a system outside. A stand-in that plays it is in the cluster, where NetworkPolicies hold the edge
 * to its pods alone; in HTTP it is one more Service.
 */
function ofEgress(plan: Plan, { egress: one, external }: ServiceSlice['egress'][number]): readonly NotSupported[] {
  const where = `${one.from} → ${external.name}`
  const encrypted = { where, what: 'deadline, retry, breaker and limits', reason: egressPolicy.but.encrypted }
  if (isPlayed(plan, external)) return []
  if (standsIn(plan, external)) return [encrypted]
  if (seenInPlain({ ...plan, mesh: 'linkerd' }, external))
    return [
      { where, what: 'breaker and limits', reason: egressPolicy.but.breaker },
      { where, what: 'egress of one service alone', reason: egress.but.perCaller },
    ]
  const reason = external.port === ports.app ? egress.but.appPort : egress.but.encrypted
  return [{ where, what: `egress to ${external.host} alone`, reason }, encrypted]
}

/** Callers of one system in plain HTTP that declare different deadlines, retries or breakers. */
function ofSharedEgress(plan: Plan): readonly NotSupported[] {
  const reaching = new Map<string, Egress[]>()
  for (const one of plan.egress) reaching.set(one.external, [...(reaching.get(one.external) ?? []), one])
  return plan.externals
    .filter((external) => seenInPlain({ ...plan, mesh: 'linkerd' }, external))
    .flatMap((external) => {
      const wishes = reaching.get(external.name) ?? []
      const where = `egress to ${external.name}`
      return [...ofMethod(where, wishes), ...(isPlayed(plan, external) ? ofBreakers(where, wishes) : [])]
    })
}
