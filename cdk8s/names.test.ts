import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { checkSystem } from '#checks/check.ts'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { external, reaches } from '#graph/external.ts'
import { queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { readOperators } from '#mesh/cluster/operator-files.ts'
import { derive } from '#plan/derive.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { dataNames, edgeOf, meshes, observabilityNamespace, siteOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { render } from './render.ts'
import { settings } from './workloads/testdata/cases.ts'

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
/** Names of Services begin with a letter. */
const serviceLabel = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/
const subdomain = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const labelKey = /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/

const letter = fc.constantFrom(...'abcxyz')
const inner = fc.constantFrom(...'abcxyz0189-')
const name = fc
  .tuple(letter, fc.string({ unit: inner, maxLength: 61 }), fc.constantFrom('', 'a', '7'))
  .map(([first, middle, last]) => (last === '' ? first : `${first}${middle}${last}`))
const awkward = fc.constantFrom(
  'constructor',
  'shop-istio',
  'edge',
  'default',
  'a'.repeat(63),
  '0',
  '1st',
  'system',
  'kafka',
  'mesh',
)

function systemOf([sys, one, two, out, way]: readonly string[]) {
  const api = rest('api', { read: 'GET /things/{id}' })
  const events = topic('events', { carries: [OrderPlacedSchema], key: 'orderId' })
  const tasks = queue('tasks', { carries: [SendEmailSchema] })
  const far = external(out ?? '', {
    host: 'far.example',
    port: 443,
    expectedLatencyMs: 100,
    routes: { put: 'PUT /things/{id}' },
    standIn: { start: module('far.ts'), webPort: 8025 },
  })
  const callee = service(two ?? '', { exposes: [api], publishes: [events], edges: [works(tasks)] })
  const caller = service(one ?? '', {
    edges: [calls(api, ['read']), consumes(events, [OrderPlacedSchema]), sends(tasks), reaches(far)],
  })
  return system(sys ?? '', { services: [caller, callee], exposures: [exposure(way ?? '', callee, api)] })
}

/** Every place of an object that Kubernetes takes for labels. */
function labelsIn(value: unknown): [string, string][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inside]) =>
    key === 'labels' || key === 'matchLabels'
      ? (Object.entries(inside as object) as [string, string][])
      : labelsIn(inside),
  )
}

function wrongIn(object: Manifest): string[] {
  const { name } = object.metadata
  // Labels of an alert are Prometheus's, which takes any text.
  const labels = labelsIn(object.kind === 'PrometheusRule' ? object.metadata : object).filter(
    ([key, value]) => !labelKey.test(key) || !labelValue.test(value),
  )
  return [
    ...(nameOf(object).test(name) ? [] : [`${object.kind} ${name}`]),
    ...labels.map(([key, value]) => `${object.kind} ${name}: ${key}=${value}`),
  ]
}

function nameOf({ kind }: Manifest): RegExp {
  if (kind === 'Service') return serviceLabel
  return kind === 'Namespace' ? label : subdomain
}

/** The findings of rules about names; of the rest this system has some whatever its names are. */
function refusals(names: readonly string[]): readonly string[] {
  const codes = new Set(['PLY601', 'PLY602', 'PLY603', 'PLY604', 'PLY606'])
  return checkSystem(systemOf(names)).findings.flatMap(({ code }) => (codes.has(code) ? [code] : []))
}

test('whatever the checks let pass is rendered: every object has a valid name of its own, and valid labels', () => {
  let rendered = 0
  fc.assert(
    fc.property(
      fc.tuple(...Array.from({ length: 5 }, () => fc.oneof({ weight: 6, arbitrary: name }, awkward))),
      fc.boolean(),
      (names, keda) => {
        fc.pre(refusals(names).length === 0)
        const plan = derive(systemOf(names), 'kind')
        for (const mesh of meshes) {
          const objects = render(plan, mesh, { ...settings, hosts: {}, keda }).flatMap((component) => component.objects)
          // Collected, because an expectation each would take seconds.
          expect(objects.flatMap(wrongIn)).toEqual([])
          const ids = objects.map(
            ({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.namespace} ${metadata.name}`,
          )
          expect(new Set(ids).size).toBe(ids.length)
          rendered += objects.length
        }
      },
    ),
    { numRuns: 100 },
  )
  expect(rendered).toBeGreaterThan(10_000)
})

test('no service may have the name of what a system has besides', () => {
  const site = siteOf(derive(systemOf(['shop', 'a', 'b', 'c', 'd']), 'kind'), 'istio', settings)
  const { kafka, postgres, rabbitmq } = dataNames(site)
  const meshed = meshes.map((mesh) => edgeOf({ ...site, mesh }).account)
  const taken = [...meshed, kafka.cluster, kafka.bootstrap, postgres.primary, rabbitmq.service, rabbitmq.cluster]
  for (const part of taken) expect([part, refusals(['shop', part, 'b', 'c', 'd'])]).toEqual([part, ['PLY606']])
})

test('no system may move into a namespace of what it stands on', () => {
  const { namespaces } = readOperators('.', 'kind')
  const others = ['default', 'kube-system', observabilityNamespace]
  const free = [...namespaces.map((one) => one.name), ...others].filter(
    (taken) => refusals([taken, 'a', 'b', 'c', 'd']).length < 1,
  )
  expect(free).toEqual([])
})
