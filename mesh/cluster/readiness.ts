/**
 * When an object of a cluster is ready, as a pure function of the object. A status that was written for an older generation
 * says nothing about the present one.
 */
import { type Health, healthOfKind } from '#cdk8s/health.ts'

/** `failed` is what does not mend itself by waiting. */
export type Readiness =
  | { readonly state: 'ready' }
  | { readonly state: 'waiting'; readonly reason: string }
  | { readonly state: 'failed'; readonly reason: string }

/** An object as the API server gives it. */
export type Live = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly generation?: number
    readonly resourceVersion?: string
    readonly uid?: string
  }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly status?: Readonly<Record<string, unknown>>
}

/** Whether an object is ready. Kinds that have no status worth waiting for are ready as soon as they are there. */
export function readinessOf(object: Live): Readiness {
  const judge = judgeOf(object.apiVersion, object.kind)
  if (!judge) return ready
  const observed = object.status?.observedGeneration
  if (typeof observed === 'number' && observed < (object.metadata.generation ?? 0)) {
    return waiting('its controller has not seen the change yet')
  }
  return judge(object)
}

/** Whether readiness of such a kind can be waited for at all. */
export function isJudged(apiVersion: string, kind: string): boolean {
  return judgeOf(apiVersion, kind) !== null
}

type Judge = (object: Live) => Readiness

function judgeOf(apiVersion: string, kind: string): Judge | null {
  const health = healthOfKind(apiVersion, kind)
  const byTable: Judge | null = health && ((object) => wellBy(health, object))
  const key = `${apiVersion.split('/').at(-2) ?? ''}/${kind}`
  return judges[key] ?? byTable
}

type Condition = {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
  readonly observedGeneration?: number
}

const ready: Readiness = { state: 'ready' }
const waiting = (reason: string): Readiness => ({ state: 'waiting', reason })
const failed = (reason: string): Readiness => ({ state: 'failed', reason })

/** Kubernetes' own kinds, those that say how they are by other things than conditions, and those that have more to tell. */
const judges: Readonly<Record<string, Judge>> = {
  '/Namespace': ({ status }) => (status?.phase === 'Active' ? ready : waiting(`is ${status?.phase ?? 'new'}`)),
  '/Node': (object) => whenTrue(object, ['Ready']),
  'apps/Deployment': deployment,
  'apps/StatefulSet': (object) => replicated(object, 'readyReplicas'),
  'apps/DaemonSet': daemonSet,
  'batch/Job': job,
  'apiextensions.k8s.io/CustomResourceDefinition': (object) => whenTrue(object, ['Established', 'NamesAccepted']),
  'postgresql.cnpg.io/Cluster': postgres,
  'gateway.networking.k8s.io/HTTPRoute': route,
  'gateway.networking.k8s.io/GRPCRoute': route,
  'opentelemetry.io/OpenTelemetryCollector': collector,
}

function conditionsOf(status: Live['status']): readonly Condition[] {
  return Array.isArray(status?.conditions) ? status.conditions : []
}

/** Ready when each of these conditions is true; what the first other one says is the reason. */
function whenTrue({ metadata, status }: Pick<Live, 'metadata' | 'status'>, types: readonly string[]): Readiness {
  const conditions = conditionsOf(status)
  for (const type of types) {
    const condition = conditions.find((one) => one.type === type)
    if (!condition) return waiting(conditions.find(({ message }) => message)?.message ?? `is not ${type} yet`)
    if ((condition.observedGeneration ?? Infinity) < (metadata.generation ?? 0)) {
      return waiting('its controller has not seen the change yet')
    }
    if (condition.status !== 'True') return waiting(wordsOf(condition))
  }
  return ready
}

/** Ready as the table says it; what the object's controller says is the reason where it is not. */
function wellBy({ conditions, fields = [], observed }: Health, object: Live): Readiness {
  const { status } = object
  const judged = whenTrue(object, conditions)
  if (judged.state !== 'ready') return judged
  const lacks = fields.find((field) => status?.[field] !== true)
  if (lacks !== undefined) return waiting(status?.message ? String(status.message) : `is not ${lacks} yet`)
  const seen = !observed || status?.observedGeneration !== undefined
  return seen ? ready : waiting('its controller has not seen it yet')
}

function wordsOf({ type, reason, message }: Condition): string {
  return message || reason || `is not ${type}`
}

function deployment(object: Live): Readiness {
  const { status } = object
  if (status?.observedGeneration === undefined) return waiting('its controller has not seen it yet')
  const stalled = conditionsOf(status).find(({ type }) => type === 'Progressing')
  if (stalled?.reason === 'ProgressDeadlineExceeded') return failed(wordsOf(stalled))
  const refused = conditionsOf(status).find(({ type, status: value }) => type === 'ReplicaFailure' && value === 'True')
  if (refused) return waiting(wordsOf(refused))
  const all = replicated(object, 'availableReplicas')
  if (all.state !== 'ready') return all
  const old = numberOf(status.replicas) - numberOf(status.updatedReplicas)
  return old > 0 ? waiting(`${old} old ${old === 1 ? 'pod is' : 'pods are'} still ending`) : ready
}

function replicated({ spec, status }: Live, counted: 'availableReplicas' | 'readyReplicas'): Readiness {
  const wanted = typeof spec?.replicas === 'number' ? spec.replicas : 1
  if (status?.observedGeneration === undefined) return waiting('its controller has not seen it yet')
  const updated = numberOf(status.updatedReplicas)
  if (updated < wanted) return waiting(`${updated} of ${wanted} pods are of the new revision`)
  const up = numberOf(status[counted])
  return up < wanted ? waiting(`${up} of ${wanted} pods are ready`) : ready
}

function daemonSet({ status }: Live): Readiness {
  if (status?.observedGeneration === undefined) return waiting('its controller has not seen it yet')
  const wanted = numberOf(status.desiredNumberScheduled)
  const up = Math.min(numberOf(status.updatedNumberScheduled), numberOf(status.numberAvailable))
  return up < wanted ? waiting(`${up} of ${wanted} pods are ready`) : ready
}

function job({ status }: Live): Readiness {
  const ended = conditionsOf(status).find(
    ({ type, status: value }) => /^(Complete|Failed)$/.test(type) && value === 'True',
  )
  if (!ended) return waiting(`${numberOf(status?.active)} pods run`)
  return ended.type === 'Complete' ? ready : failed(wordsOf(ended))
}

function postgres(object: Live): Readiness {
  const health = healthOfKind(object.apiVersion, object.kind)
  const judged = health ? wellBy(health, object) : ready
  const { phase, phaseReason } = object.status ?? {}
  // Its phase says more than its condition: which instance is being made, or why none can be.
  if (judged.state === 'waiting' && phase) return waiting(phaseReason ? `${phase}: ${phaseReason}` : String(phase))
  return judged
}

/** Each of its parents must take it, and find what it points to. */
function route({ metadata, spec, status }: Live): Readiness {
  const wanted = Array.isArray(spec?.parentRefs) ? spec.parentRefs.length : 0
  const parents: readonly { conditions?: readonly Condition[] }[] = Array.isArray(status?.parents) ? status.parents : []
  if (parents.length < wanted) return waiting('no controller has taken it yet')
  for (const { conditions = [] } of parents) {
    const judged = whenTrue({ metadata, status: { conditions } }, [
      'Accepted',
      ...conditions.filter(({ type }) => type === 'ResolvedRefs').map(({ type }) => type),
    ])
    if (judged.state !== 'ready') return judged
  }
  return ready
}

function collector({ status }: Live): Readiness {
  const scale = status?.scale as { statusReplicas?: string } | undefined
  const [up, wanted] = (scale?.statusReplicas ?? '').split('/').map(Number)
  if (!wanted || up === undefined) return waiting('its operator has not made its pods yet')
  return up < wanted ? waiting(`${up} of ${wanted} pods are ready`) : ready
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
