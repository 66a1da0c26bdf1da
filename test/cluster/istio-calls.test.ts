/**
 * Where Istio's sidecars send at all, and how they treat a call: deadline, retries, breaker and bounds, by an evaluator of
 * the rendered objects that was written from the documentation alone. For each caller and method these are the plan's.
 */
import { describe, expect, test } from '@jest/globals'
import type { Plan } from '#plan/plan.ts'
import type { Manifest } from '#providers/manifest.ts'
import { istioReaches, istioTreats, type KnownHost } from '../evaluators/istio-outbound.ts'
import { type Loose, ofKind } from '../evaluators/objects.ts'
import { outcomes, type Treatment } from '../evaluators/treatment.ts'
import {
  declaredOf,
  hostOf,
  isPlayed,
  podNamed,
  portOf,
  sample,
  titleOf,
  type Wanted,
  wantedIn,
} from '../fixtures/calls.ts'
import { type RenderedCase, renderedCases } from '../fixtures/rendered.ts'

const onIstio = renderedCases().filter(({ mesh }) => mesh === 'istio')

describe('a sidecar knows its callees, its data services, where spans go, and nothing else', () => {
  test.each(onIstio)('$title', (rendered) => {
    const { plan, objects } = rendered
    const known = operatorsHosts(plan)
    for (const { name } of plan.services) {
      const reached = istioReaches(objects, podNamed(objects, name), known)
      expect([name, reached]).toEqual([name, hostsFor(rendered, name, known)])
    }
    const stranger = { ...podNamed(objects, plan.services[0]?.name ?? ''), labels: { app: 'stranger' } }
    expect(istioReaches(objects, stranger, known)).toEqual([])
  })
})

describe('a call is treated as it is declared', () => {
  test.each(onIstio)('$title', (rendered) => {
    for (const wanted of wantedIn(rendered.plan)) {
      const treated = treatedByIstio(rendered, rendered.objects, wanted)
      expect([titleOf(wanted), treated]).toEqual([titleOf(wanted), declaredForIstio(rendered.plan, wanted)])
    }
  })

  test.each(onIstio)('and so is a connection to a system outside: $title', ({ plan, objects }) => {
    for (const { from, external: name, breaker, limits } of plan.egress) {
      const external = plan.externals.find((one) => one.name === name)
      if (external?.protocol !== 'tcp') continue
      const host = isPlayed(plan, external) ? `${name}.${plan.namespace}-outside.svc.cluster.local` : external.host
      const treated = istioTreats(objects, podNamed(objects, from), { host, verb: '', path: '', grpc: false })
      expect(treated).toMatchObject({ breaker: { ...breaker, ejectable: 100 }, ...limits })
    }
  })

  test.each(onIstio)('and what is not declared is tried once, or not at all: $title', ({ plan, objects }) => {
    const wanted = wantedIn(plan)
    const called = [...new Set(wanted.map(({ to, outside }) => JSON.stringify([to, outside])))].map((text) =>
      JSON.parse(text),
    )
    const paths = [...wanted.map(({ method }) => method), { verb: 'GET', path: '/no/such' }]
    const again = plan.services.flatMap(({ name: from }) =>
      called.flatMap(([to, outside]) =>
        paths
          .filter(
            ({ verb, path }) =>
              !wanted.some(
                (one) => one.from === from && one.to === to && one.method.verb === verb && one.method.path === path,
              ),
          )
          .map(({ verb, path }) => {
            const host = outside ? (plan.externals.find(({ name }) => name === to)?.host ?? '') : hostOf(plan, to)
            return {
              from,
              to,
              path,
              outside,
              treated: istioTreats(objects, podNamed(objects, from), { host, verb, path: sample(path), grpc: true }),
            }
          })
          .filter(({ treated }) => (outside ? treated !== 'refused' : treated === 'refused' || treated.attempts !== 1)),
      ),
    )
    expect(again).toEqual([])
  })

  test('a change of any number of it is noticed', () => {
    const [rendered] = onIstio.filter(({ plan }) => plan.system === 'everything')
    if (!rendered) throw new Error('There is no such case')
    const whole = seenOnIstio(rendered, rendered.objects)
    const changes: readonly [string, RegExp, string][] = [
      ['timeout', /"timeout":"0\.2s"/, '"timeout":"0.3s"'],
      ['attempts', /"attempts":1,/, '"attempts":2,'],
      ['no retries', /"retries":\{"attempts":0\},/, ''],
      ['time of a try', /"perTryTimeout":"[^"]*",/, ''],
      ['reasons', /"retryOn":"[^"]*unavailable/, '"retryOn":"internal'],
      ['budget', /"percent":20/, '"percent":30'],
      ['failures', /"consecutive5xxErrors":3/, '"consecutive5xxErrors":4'],
      ['open time', /"baseEjectionTime":"10s"/, '"baseEjectionTime":"11s"'],
      ['a lone replica', /"maxEjectionPercent":100/, '"maxEjectionPercent":50'],
      ['concurrency', /"http2MaxRequests":7,/, '"http2MaxRequests":8,'],
      ['waiting', /"http1MaxPendingRequests":3/, '"http1MaxPendingRequests":4'],
      ['whose it is', /"workloadSelector":\{"matchLabels":\{"app":"web"\}\},/, ''],
    ]
    const unnoticed = changes.filter(([, from, to]) => {
      const changed = JSON.parse(JSON.stringify(rendered.objects).replace(from, to)) as readonly Manifest[]
      return attempt(() => seenOnIstio(rendered, changed)) === whole
    })
    expect(unnoticed.map(([name]) => name)).toEqual([])
  })
})

/** The same as Istio does it. What no answer came for in its time is unavailable and late at once: a race decides. */
function declaredForIstio(plan: Plan, wanted: Wanted): Treatment {
  const { limits } = wanted.edge
  const declared = declaredOf(wanted)
  const unanswered = declared.on.some((outcome) => outcome === 'unavailable' || outcome === 'deadline-exceeded')
  const budgets = wantedIn(plan)
    .filter(({ from, to }) => from === wanted.from && to === wanted.to)
    .flatMap(({ retry }) => (retry ? [retry.budget] : []))
  const [budget] = budgets
  if (budgets.some((other) => JSON.stringify(other) !== JSON.stringify(budget))) throw new Error('Budgets differ')
  return {
    ...declared,
    on: outcomes.filter((one) => declared.on.includes(one) || (unanswered && one === 'deadline-exceeded')),
    budget: budget ?? null,
    concurrentMax: limits.concurrentMax,
    // Over HTTP/2 what waits, waits for a connection alone: it is told that there is no bound.
    pendingMax: wanted.grpc ? null : limits.pendingMax,
  }
}

function treatedByIstio({ plan, objects: whole }: RenderedCase, objects: readonly Manifest[], wanted: Wanted) {
  const { from, to, outside, grpc, method } = wanted
  const host = outside ? (plan.externals.find(({ name }) => name === to)?.host ?? '') : hostOf(plan, to)
  return istioTreats(objects, podNamed(whole, from), { host, grpc, verb: method.verb, path: sample(method.path) })
}

function seenOnIstio(rendered: RenderedCase, objects: readonly Manifest[]): string {
  return JSON.stringify(wantedIn(rendered.plan).map((wanted) => treatedByIstio(rendered, objects, wanted)))
}

/** Every host that a service may send to, with the ports that the host has. */
function hostsFor({ plan, objects }: RenderedCase, name: string, known: readonly KnownHost[]): readonly string[] {
  const { system, links, egress, externals, grants, stores, webhooks } = plan
  const all = (host: string): readonly string[] =>
    known.filter((one) => one.host === host).flatMap(({ ports }) => ports.map((port) => `${host}:${port}`))
  const uses = (some: readonly { readonly service: string }[]): boolean => some.some(({ service }) => service === name)
  const kafka = [`${system}-kafka-kafka-bootstrap`, `${system}-kafka-kafka-brokers`].map((one) => hostOf(plan, one))
  const reached = egress.flatMap(({ from, external }) =>
    externals.filter((one) => from === name && one.name === external),
  )
  return [
    ...links.filter(({ from }) => from === name).map(({ to }) => `${hostOf(plan, to)}:8080`),
    ...reached.flatMap((external) => {
      if (external.protocol !== 'tcp' || !isPlayed(plan, external)) return [`${external.host}:${portOf(external)}`]
      // Over TCP a stand-in is reached as the Service that it is, which has its page besides.
      const service = ofKind(objects, 'v1', 'Service').find(({ metadata }) => metadata.name === external.name)
      const host = `${external.name}.${plan.namespace}-outside.svc.cluster.local`
      return service?.spec.ports.map(({ port }: Loose) => `${host}:${port}`)
    }),
    // One name stands for all subscribers, wherever they are.
    ...(uses(webhooks) ? [`${name}.subscribers.invalid:443`] : []),
    ...(uses([...grants.topics, ...grants.groups]) ? kafka.flatMap(all) : []),
    ...(stores.some(({ owner }) => owner === name) ? [`${hostOf(plan, `${system}-postgres-rw`)}:5432`] : []),
    ...(uses(grants.queues) ? [`${hostOf(plan, `${system}-rabbitmq`)}:5671`] : []),
    'jaeger-collector.observability.svc.cluster.local:4317',
  ].sort()
}

/** Services that operators make, and others', as they are on a cluster. */
function operatorsHosts(plan: Plan): readonly KnownHost[] {
  const own = (name: string, ...ports: readonly number[]): KnownHost => ({
    ...{ namespace: plan.namespace, host: hostOf(plan, name), ports },
  })
  const other = (name: string, namespace: string, ...ports: readonly number[]): KnownHost => ({
    ...{ namespace, host: `${name}.${namespace}.svc.cluster.local`, ports },
  })
  return [
    own(`${plan.system}-kafka-kafka-bootstrap`, 9091, 9093),
    own(`${plan.system}-kafka-kafka-brokers`, 9090, 9091, 8443, 9093),
    own(`${plan.system}-postgres-rw`, 5432),
    own(`${plan.system}-rabbitmq`, 5671, 15_672, 15_692),
    other('jaeger-collector', 'observability', 4317, 4318, 8888, 16_686),
    other('prometheus', 'observability', 9090),
    other('kubernetes', 'default', 443),
    other('others', 'elsewhere', 8080),
  ]
}

/** An evaluator that finds no meaning in what is left has noticed, too. */
function attempt(run: () => string): string {
  try {
    return run()
  } catch (error) {
    return String(error)
  }
}
