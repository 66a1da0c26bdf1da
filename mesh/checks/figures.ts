import { type ResolvedCall, resolveCall, resolveConsume, resolveReach, resolveRedelivery } from '#graph/defaults.ts'
import type { Backoff, EdgeRate, RateLimit } from '#graph/policy.ts'
import type { ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName, type EdgeOfKind, streams } from './edges.ts'
import { exposureOwner, type Owner, serviceOwner } from './rule.ts'

/** What a figure is for: how a call ends, how much there may be of something, or anything else. */
export type FigureKind = 'call' | 'bound' | 'other'

/** A number of the declaration, with its defaults filled in and the range in which it makes sense. */
export type Figure = {
  readonly kind: FigureKind
  readonly path: readonly string[]
  readonly owners: readonly Owner[]
  /** The word of the declaration: `limits.concurrentMax`. */
  readonly word: string
  /** Null where the declaration takes the bound away. */
  readonly value: number | null
  readonly min: number
  readonly max: number
  readonly whole: boolean
}

type Place = Pick<Figure, 'path' | 'owners'>
type Range = readonly [min: number, max: number]

const hourMs = 3_600_000
const day = 24 * hourMs

/** Every figure of a system, by the names of its nodes. */
export function figuresOf(system: SystemNode): Figure[] {
  return [
    ...byName(system.services).flatMap((service) => [
      ...serviceFigures(service),
      ...(service.spec.edges ?? []).flatMap((edge) => edgeFigures(service, edge)),
    ]),
    ...byName(system.exposures).flatMap((exposure) => {
      const at = { path: [`exposure ${exposure.name}`], owners: [exposureOwner(exposure)] }
      return [
        whole(at, 'call', 'deadlineMs', exposure.deadlineMs, [1, hourMs]),
        whole(at, 'call', 'streamDeadlineMs', exposure.streamDeadlineMs, [1, day]),
        whole(at, 'bound', 'bodyBytesMax', exposure.bodyBytesMax, [1, 2 ** 30]),
        ...(exposure.rateLimit
          ? edgeRateFigures(at, exposure.rateLimit)
          : [whole(at, 'bound', 'rateLimit', null, [1, 1_000_000])]),
      ]
    }),
    ...byName(system.sagas).map((saga) => {
      const at = { path: [`saga ${saga.name}`], owners: [] }
      return whole(at, 'bound', 'timeoutMs', saga.timeoutMs, [1, 365 * day])
    }),
    ...Object.entries(system.bounds).map(([word, value]) => {
      const at = { path: [`system ${system.name}`], owners: [] }
      return whole(at, 'bound', `bounds.${word}`, value, [1, 100])
    }),
  ]
}

function serviceFigures(service: ServiceNode): Figure[] {
  const at = { path: [service.name], owners: [serviceOwner(service)] }
  const { replicas, resources, objective, rateLimit, owns = [], publishes = [] } = service.spec
  return [
    ...(replicas === undefined ? [] : [whole(at, 'other', 'replicas', replicas, [1, 1_000])]),
    ...(resources
      ? [
          whole(at, 'other', 'resources.cpuMillis', resources.cpuMillis, [1, 1_000_000]),
          whole(at, 'other', 'resources.memoryMiB', resources.memoryMiB, [1, 10_000_000]),
        ]
      : []),
    ...(objective
      ? [
          share(at, 'objective.availability', objective.availability),
          whole(at, 'other', 'objective.p99Ms', objective.p99Ms, [1, hourMs]),
        ]
      : []),
    ...(rateLimit ? rateFigures(at, rateLimit) : []),
    ...owns.map((store) => whole(at, 'bound', 'postgres.connectionsMax', store.connectionsMax, [1, 1_000])),
    ...publishes.flatMap((topic) => {
      const there = { ...at, path: [service.name, `→ topic ${topic.name}`] }
      return [
        ...(topic.partitions === undefined ? [] : [whole(there, 'other', 'partitions', topic.partitions, [1, 10_000])]),
        ...(topic.retentionMs === undefined
          ? []
          : [whole(there, 'bound', 'retentionMs', topic.retentionMs, [1, 3_650 * day])]),
      ]
    }),
  ]
}

function edgeFigures(service: ServiceNode, edge: NonNullable<ServiceNode['spec']['edges']>[number]): Figure[] {
  const owners = [serviceOwner(service)]
  const at = (label: string): Place => ({ path: [service.name, label], owners })
  switch (edge.kind) {
    case 'calls':
      return streams(edge)
        ? streamFigures(at(`→ ${edge.api.name}.${edge.methods.join(',')}`), resolveCall(edge.policy))
        : callFigures(at(`→ ${edge.api.name}.${edge.methods.join(',')}`), resolveCall(edge.policy), 60_000)
    case 'reaches': {
      const there = at(`→ external ${edge.external.name}`)
      return [
        ...callFigures(there, resolveReach(edge), hourMs),
        whole(there, 'other', 'expectedLatencyMs', edge.external.expectedLatencyMs, [1, hourMs]),
        whole(there, 'other', 'port', edge.external.port, [1, 65_535]),
      ]
    }
    case 'consumes': {
      const there = at(`← topic ${edge.topic.name}`)
      const { concurrency, gatherMs, redelivery } = resolveConsume(service.name, edge.policy)
      return [
        whole(there, 'bound', 'concurrency', concurrency, [1, 1_000]),
        whole(there, 'bound', 'gatherMs', gatherMs, [0, 1_000]),
        ...redeliveryFigures(there, redelivery),
      ]
    }
    case 'works': {
      const there = at(`← queue ${edge.queue.name}`)
      return [
        whole(there, 'bound', 'prefetch', edge.policy.prefetch ?? 10, [1, 10_000]),
        whole(there, 'bound', 'lengthMax', edge.queue.lengthMax ?? 100_000, [1, 100_000_000]),
        ...redeliveryFigures(there, resolveRedelivery(edge.queue.redelivery)),
      ]
    }
    case 'asks': {
      const there = at(`→ queue ${edge.queue.name}`)
      return [
        whole(there, 'call', 'deadlineMs', edge.policy.deadlineMs, [1, hourMs]),
        whole(there, 'bound', 'inFlightMax', edge.policy.inFlightMax ?? 100, [1, 100_000]),
      ]
    }
    case 'delivers':
      return webhookFigures(at(`→ webhook ${edge.webhook.name}`), edge.webhook)
    case 'sends':
      return []
  }
}

/** Every proxy on the way ends a stream that is silent for five minutes, whatever a caller declares. */
const idleMaxMs = 240_000

function streamFigures(at: Place, policy: ResolvedCall): Figure[] {
  return [...callFigures(at, policy, day), whole(at, 'call', 'idleMs', policy.idleMs, [1_000, idleMaxMs])]
}

function callFigures(at: Place, policy: ResolvedCall, deadlineMaxMs: number): Figure[] {
  const { deadlineMs, breaker, limits, retry } = policy
  return [
    whole(at, 'call', 'deadlineMs', deadlineMs, [1, deadlineMaxMs]),
    whole(at, 'call', 'breaker.failures', breaker.failures, [1, 1_000]),
    whole(at, 'call', 'breaker.openMs', breaker.openMs, [1, hourMs]),
    whole(at, 'bound', 'limits.concurrentMax', limits.concurrentMax, [1, 100_000]),
    whole(at, 'bound', 'limits.pendingMax', limits.pendingMax, [1, 100_000]),
    ...(retry
      ? [
          whole(at, 'call', 'retry.attempts', retry.attempts, [1, 100]),
          whole(at, 'call', 'retry.perTryTimeoutMs', retry.perTryTimeoutMs, [1, deadlineMaxMs]),
          ...backoffFigures(at, 'call', 'retry.backoff', retry.backoff),
          { ...whole(at, 'call', 'retry.budget.percent', retry.budget.percent, [0, 100]), whole: false },
          whole(at, 'call', 'retry.budget.concurrentMin', retry.budget.concurrentMin, [0, 10_000]),
        ]
      : []),
  ]
}

function redeliveryFigures(at: Place, { attempts, backoff }: ReturnType<typeof resolveRedelivery>): Figure[] {
  return [
    whole(at, 'bound', 'redelivery.attempts', attempts, [1, 1_000]),
    ...backoffFigures(at, 'bound', 'redelivery.backoff', backoff),
  ]
}

function webhookFigures(at: Place, webhook: EdgeOfKind<'delivers'>['webhook']): Figure[] {
  return [
    whole(at, 'bound', 'timeoutMs', webhook.timeoutMs, [1, hourMs]),
    whole(at, 'bound', 'attempts', webhook.attempts, [1, 1_000]),
    ...backoffFigures(at, 'bound', 'backoff', webhook.backoff),
    whole(at, 'bound', 'concurrentPerEndpointMax', webhook.concurrentPerEndpointMax, [1, 1_000]),
  ]
}

/** The ceiling of a backoff is at least its base. */
function backoffFigures(at: Place, kind: FigureKind, word: string, { baseMs, maxMs }: Backoff): Figure[] {
  return [
    whole(at, kind, `${word}.baseMs`, baseMs, [1, day]),
    whole(at, kind, `${word}.maxMs`, maxMs, [Number.isFinite(baseMs) ? Math.max(1, baseMs) : 1, 7 * day]),
  ]
}

function rateFigures(at: Place, { perSecond, burst }: RateLimit): Figure[] {
  return [
    { ...whole(at, 'bound', 'rateLimit.perSecond', perSecond, [Number.MIN_VALUE, 1_000_000]), whole: false },
    whole(at, 'bound', 'rateLimit.burst', burst, [1, 10_000_000]),
  ]
}

/** A client may not have more than there is for all. */
function edgeRateFigures(at: Place, { perClient, ...all }: EdgeRate): Figure[] {
  if (!perClient) return rateFigures(at, all)
  const { perSecond, burst, clientsMax = 10_000 } = perClient
  const most = (of: number) => (of > 0 ? of : 1)
  return [
    ...rateFigures(at, all),
    {
      ...whole(at, 'bound', 'rateLimit.perClient.perSecond', perSecond, [Number.MIN_VALUE, most(all.perSecond)]),
      whole: false,
    },
    whole(at, 'bound', 'rateLimit.perClient.burst', burst, [1, Math.max(1, most(all.burst))]),
    whole(at, 'bound', 'rateLimit.perClient.clientsMax', clientsMax, [1, 1_000_000]),
  ]
}

function share(at: Place, word: string, value: number): Figure {
  return { ...at, kind: 'other', word, value, min: Number.MIN_VALUE, max: 0.999_999_9, whole: false }
}

function whole(at: Place, kind: FigureKind, word: string, value: number | null, [min, max]: Range): Figure {
  return { path: at.path, owners: at.owners, kind, word, value, min, max, whole: true }
}
