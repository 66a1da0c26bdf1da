import type { Component } from '#cdk8s/component.ts'
import { render } from '#cdk8s/render.ts'
import type { Plan } from '#plan/plan.ts'
import type { Mesh, Settings } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { messageOf } from './answers.ts'
import { applyWave } from './apply.ts'
import type { Connection } from './connection.ts'
import { type Drift, driftOf, type Edge, edgesOf } from './edges.ts'
import { keyOf, nameOf, ownedBy } from './inventory.ts'
import { discoverKinds, type Kinds } from './kinds.ts'
import { type Mtls, mtlsOf, type Proxies, proxiesOf } from './mesh-status.ts'
import { isJudged } from './readiness.ts'
import { stillWaiting } from './wait.ts'

/** What a cluster looks like beside what was declared. */
export type ClusterStatus = {
  readonly context: string
  readonly system: string
  readonly mesh: Mesh
  /** Each declared edge; `policy` is what differs in its policies, and empty where they are as declared. */
  readonly edges: readonly (Edge & { readonly policy: string })[]
  /** Every policy that is not as declared, those of the whole system among them. */
  readonly drifts: readonly Drift[]
  readonly mtls: Mtls
  readonly proxies: Proxies
  readonly workloads: readonly { readonly name: string; readonly ready: boolean; readonly reason: string }[]
  /** Events that each group has still to handle; null where Prometheus cannot be asked. */
  readonly lag: readonly { readonly service: string; readonly topic: string; readonly events: number }[] | null
  readonly lagUnknown: string | null
}

/** What is asked about. */
export type StatusRequest = { readonly plan: Plan; readonly mesh: Mesh; readonly settings: Settings }

/** Looks at a system on a cluster; changes nothing. Null where the system is not there. @throws ClusterError */
export async function statusOf(
  connection: Connection,
  { plan, mesh, settings }: StatusRequest,
): Promise<ClusterStatus | null> {
  const namespace = await connection.request({ method: 'GET', path: `/api/v1/namespaces/${plan.namespace}` })
  if (namespace.status === 404) return null
  const kinds = await discoverKinds(connection)
  const components = render(plan, mesh, settings)
  const known = components.map((one) => ({ ...one, objects: one.objects.filter((object) => kinds.of(object)) }))
  const policies = known.filter(({ wave }) => wave === 'policies')
  const workloads = known.filter(({ wave }) => wave !== 'policies').flatMap(({ objects }) => objects)
  const judged = workloads.filter(({ apiVersion, kind }) => isJudged(apiVersion, kind))
  const [different, waiting, mtls, proxies, lag] = await Promise.all([
    differences(
      connection,
      kinds,
      plan,
      policies.flatMap(({ objects }) => objects),
    ),
    stillWaiting(connection, kinds, judged),
    mtlsOf(connection, mesh, plan.namespace),
    proxiesOf(connection, mesh, plan.namespace),
    lagOf(connection, plan),
  ])
  const drifts = components.filter(({ wave }) => wave === 'policies').flatMap((one) => driftsIn(one, kinds, different))
  const services = new Set(plan.services.map(({ name }) => name))
  const reasons = new Map(waiting.map(({ object, readiness }) => [keyOf(object), readiness.reason]))
  return {
    context: connection.context,
    system: plan.system,
    mesh,
    edges: edgesOf(plan).map((edge) => ({ ...edge, policy: few(driftOf(edge, drifts, services)) })),
    drifts,
    mtls,
    proxies,
    workloads: judged.map((object) => {
      const reason = reasons.get(keyOf(object))
      return { name: nameOf(object), ready: reason === undefined, reason: reason ?? '' }
    }),
    ...lag,
  }
}

const fewMax = 2

function few(drifts: readonly Drift[]): string {
  const more = drifts.length - fewMax
  const shown = drifts.slice(0, fewMax).map(({ object, what }) => `${object} ${what}`)
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

function driftsIn(
  { name: component, objects }: Component,
  kinds: Kinds,
  different: ReadonlyMap<string, string>,
): readonly Drift[] {
  return objects.flatMap((object) => {
    const what = kinds.of(object) ? different.get(keyOf(object)) : 'is of a kind that the cluster does not know'
    return what === undefined ? [] : [{ component, object: nameOf(object), name: object.metadata.name, what }]
  })
}

/** What applying would create or change, by the objects' keys. The server itself compares; nothing is written. */
async function differences(
  connection: Connection,
  kinds: Kinds,
  plan: Plan,
  objects: readonly Manifest[],
): Promise<Map<string, string>> {
  const namespaces = [...new Set(objects.flatMap(({ metadata }) => metadata.namespace ?? []))]
  const { owned } = await ownedBy(connection, kinds, plan.system, namespaces)
  const before = new Map(owned.map(({ object }) => [keyOf(object), object]))
  const { applied, failures } = await applyWave(connection, kinds, 'policies', objects, {
    dryRun: true,
    before,
    report: () => {},
  })
  const words = { created: 'is missing', changed: 'was changed', unchanged: null } as const
  const found = new Map<string, string>()
  for (const { object, outcome } of applied) {
    const word = words[outcome]
    if (word) found.set(keyOf(object), word)
  }
  // Who may not write may still see whether it is there.
  for (const { object, error } of failures) {
    if (error.code !== 'FORBIDDEN') found.set(keyOf(object), 'is refused as it is declared now')
    else if (!before.has(keyOf(object))) found.set(keyOf(object), 'is missing')
  }
  return found
}

const prometheus = '/api/v1/namespaces/observability/services/prometheus:9090/proxy/api/v1/query'

async function lagOf(
  connection: Connection,
  { namespace, subscriptions }: Plan,
): Promise<Pick<ClusterStatus, 'lag' | 'lagUnknown'>> {
  if (subscriptions.length === 0) return { lag: [], lagUnknown: null }
  const query = `sum by (pod, topic) (parley_consumer_lag{namespace="${namespace}"})`
  const answer = await connection.request({ method: 'GET', path: `${prometheus}?query=${encodeURIComponent(query)}` })
  if (answer.status !== 200) return { lag: null, lagUnknown: `Prometheus cannot be asked: ${messageOf(answer)}` }
  const { data } = answer.body as PrometheusAnswer
  return {
    lagUnknown: null,
    lag: subscriptions.map(({ service, topic }) => ({
      service,
      topic,
      events: data.result
        .filter(({ metric }) => metric.topic === topic && metric.pod?.startsWith(`${service}-`))
        .reduce((sum, { value }) => sum + Number(value[1]), 0),
    })),
  }
}

type PrometheusAnswer = {
  readonly data: {
    readonly result: readonly {
      readonly metric: { readonly pod?: string; readonly topic?: string }
      readonly value: readonly [number, string]
    }[]
  }
}
