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
import { derive } from '#plan/derive.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { meshes } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { RenderError } from './render-error.ts'
import { renderedOf, settings } from './testdata/cases.ts'

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
const awkward = fc.constantFrom('constructor', 'shop-istio', 'edge', 'default', 'a'.repeat(63), '0', '1st', 'system')

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
  const labels = labelsIn(object).filter(([key, value]) => !labelKey.test(key) || !labelValue.test(value))
  return [
    ...(nameOf(object).test(name) ? [] : [`${object.kind} ${name}`]),
    ...labels.map(([key, value]) => `${object.kind} ${name}: ${key}=${value}`),
  ]
}

function nameOf({ kind }: Manifest): RegExp {
  if (kind === 'Service') return serviceLabel
  return kind === 'Namespace' ? label : subdomain
}

test('whatever a declaration may name, every object has a valid name of its own and valid labels, or is refused with a reason', () => {
  let rendered = 0
  fc.assert(
    fc.property(
      fc.tuple(...Array.from({ length: 5 }, () => fc.oneof({ weight: 6, arbitrary: name }, awkward))),
      fc.boolean(),
      (names, keda) => {
        const declared = systemOf(names)
        fc.pre(
          !checkSystem(declared).findings.some(({ code }) => ['PLY603', 'PLY601', 'PLY602', 'PLY604'].includes(code)),
        )
        const plan = derive(declared, 'kind')
        for (const mesh of meshes) {
          const objects = renderedOrRefused(() => renderedOf(plan, mesh, { ...settings, keda }).objects)
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
    { numRuns: 200 },
  )
  expect(rendered).toBeGreaterThan(10_000)
})

function renderedOrRefused(render: () => readonly Manifest[]): readonly Manifest[] {
  try {
    return render()
  } catch (thrown) {
    if (!(thrown instanceof RenderError)) throw thrown
    expect(thrown.message).toMatch(
      /begins with a digit|has a name that belongs to|has \d+ characters|belongs to something else/,
    )
    return []
  }
}

test.each(['default', 'kube-system', 'observability', 'istio-system'])('a system does not move into %s', (taken) => {
  expect(() => renderedOf(derive(systemOf([taken, 'a', 'b', 'c', 'd']), 'kind'), 'none')).toThrow(
    `The system ${taken} would live in the namespace ${taken}, which belongs to something else. Rename it.`,
  )
})

test('what a cluster refuses is refused with the next step', () => {
  const render = (...names: string[]) => renderedOf(derive(systemOf(names), 'kind'), 'istio')
  expect(() => render('shop', '1st', 'b', 'c', 'd')).toThrow(
    'The service 1st begins with a digit, which the name of a Kubernetes Service may not. Rename it, such as to service-1st.',
  )
  expect(() => render('shop', 'shop-istio', 'b', 'c', 'd')).toThrow('a name that belongs to shop-istio')
  expect(() => render('s'.repeat(41), 'a', 'b', 'c', 'd')).toThrow('at most 40')
})
