import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accept } from '#graph/acceptance.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { reaches } from '#graph/external.ts'
import type { CallPolicy } from '#graph/policy.ts'
import { asks, queue, sends, works } from '#graph/queue.ts'
import { action, choreography, orchestration, type SagaNode, step } from '#graph/saga.ts'
import { type Edge, type ServiceNode, service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import type { SystemNode } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { delivers, webhook } from '#graph/webhook.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { checkSystem } from './check.ts'
import { rules } from './rules.ts'
import {
  api,
  confirmed,
  email,
  emails,
  orderEvents,
  outside,
  placed,
  rejected,
  reserved,
  stockEvents,
  tiny,
} from './testdata/systems.ts'

const number = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.constantFrom(0, -1, 0.5, Number.NaN, 1e300, Infinity))
const name = fc.oneof(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), fc.string({ maxLength: 8 }))
const backoff = fc.record({ baseMs: number, maxMs: number })

const policy: fc.Arbitrary<CallPolicy> = fc.record(
  {
    deadlineMs: number,
    retry: fc.record({ attempts: number, perTryTimeoutMs: number, backoff }, { requiredKeys: ['attempts'] }),
    breaker: fc.record({ failures: number, openMs: number }),
    limits: fc.record({ concurrentMax: number, pendingMax: number }),
    fallback: fc.boolean(),
  },
  { requiredKeys: [] },
)

const clicks = topic('clicks', { carries: [placed, reserved], key: null })
const quotes = queue('quotes', { carries: [email], replies: email, deadLetter: false })
const aTopic = fc.constantFrom(orderEvents, stockEvents, clicks)
const aQueue = fc.constantFrom(emails, quotes)
const anEvent = fc.constantFrom(placed, confirmed, reserved, rejected)
const anApi = fc.oneof(name.map(api), fc.constant(OrderService))

const edge: fc.Arbitrary<Edge> = fc.oneof(
  fc
    .tuple(name, fc.subarray(['read', 'write'] as const), policy)
    .map(([to, methods, how]) => calls(api(to), methods, how)),
  policy.map((how) => calls(OrderService, ['createOrder', 'getOrder'], how)),
  fc.tuple(name, number, policy).map(([to, latencyMs, how]) => reaches(outside(to, latencyMs, to), how)),
  fc
    .tuple(aTopic, fc.array(anEvent, { maxLength: 2 }), name)
    .map(([from, events, group]): Edge => ({ kind: 'consumes', topic: from, messages: events, policy: { group } })),
  aQueue.map((to) => sends(to)),
  fc.tuple(aQueue, number).map(([from, prefetch]) => works(from, { prefetch })),
  number.map((deadlineMs) => asks(quotes, { deadlineMs })),
  fc.tuple(name, fc.boolean()).map(([hook, signed]) => delivers(webhook(hook, orderEvents, [placed], { signed }))),
  fc.constant(consumes(orderEvents, [placed])),
)

const acceptance = fc.constantFrom(...rules.map(({ code }) => code), 'PLY000').map((code) => accept(code, 'known'))

const aService: fc.Arbitrary<ServiceNode> = fc
  .tuple(
    name,
    fc.record({
      exposes: fc.array(anApi, { maxLength: 2 }),
      owns: fc.array(
        name.map((store) => postgres({ name: store })),
        { maxLength: 2 },
      ),
      publishes: fc.uniqueArray(aTopic, { maxLength: 2 }),
      edges: fc.array(edge, { maxLength: 5 }),
      objective: fc.record({ availability: number, p99Ms: number }),
      accepts: fc.array(acceptance, { maxLength: 2 }),
    }),
  )
  .map(([called, spec]) => service(called, { ...spec, exposes: [...spec.exposes, api(called)] }))

function saga(services: readonly ServiceNode[]): fc.Arbitrary<SagaNode> {
  const by = fc.constantFrom(...services)
  const steps = fc.array(
    fc
      .tuple(name, by, anEvent, anEvent)
      .map(([called, who, on, emits]) => step(called, who, { on, emits, refuses: on })),
    { maxLength: 6 },
  )
  const actions = fc.array(fc.tuple(name, by).map(([called, who]) => action(called, who, { action: called })))
  return fc.oneof(
    fc
      .tuple(name, steps, name)
      .map(([called, all, pointOfNoReturn]) => choreography(called, { steps: all, pointOfNoReturn })),
    fc
      .tuple(name, by, actions, name)
      .map(([called, who, all, pointOfNoReturn]) => orchestration(called, { by: who, steps: all, pointOfNoReturn })),
  )
}

const systems: fc.Arbitrary<SystemNode> = fc.array(aService, { minLength: 1, maxLength: 8 }).chain((services) =>
  fc
    .record({
      exposures: fc.array(
        fc
          .tuple(name, fc.constantFrom(...services), anApi, number)
          .map(([called, who, what, deadlineMs]) => exposure(called, who, what, { deadlineMs, bodyBytesMax: null })),
        { maxLength: 3 },
      ),
      sagas: fc.array(saga(services), { maxLength: 2 }),
      bounds: fc.record({ syncDepthMax: number, attemptsAtLeafMax: number }, { requiredKeys: [] }),
      environments: fc.record({ production: fc.record({ brokers: number, minInSyncReplicas: number }) }),
    })
    .map((more) => tiny(services, more)),
)

test('no system makes a rule throw, every finding says where and how, and each run says the same', () => {
  fc.assert(
    fc.property(systems, (system) => {
      const report = checkSystem(system)
      for (const { code, path, message, mend } of report.findings) {
        expect(code).toMatch(/^PLY\d{3}$/)
        expect(path.length).toBeGreaterThan(0)
        expect(`${message} ${mend}`).not.toMatch(/undefined|\[object/)
        expect(mend).not.toBe('')
      }
      expect(checkSystem(system)).toEqual(report)
    }),
    { numRuns: 150 },
  )
})

test('the order of services, exposures and sagas does not matter', () => {
  const distinct = systems.filter(({ services }) => new Set(services.map((node) => node.name)).size === services.length)
  fc.assert(
    fc.property(distinct, (system) => {
      const turned = {
        ...system,
        services: system.services.toReversed(),
        exposures: system.exposures.toReversed(),
        sagas: system.sagas.toReversed(),
      }
      expect(checkSystem(turned).findings).toEqual(checkSystem(system).findings)
    }),
    { numRuns: 150 },
  )
})

test('a system of 60 services that all call one another ends: no search is exponential', () => {
  const names = Array.from({ length: 60 }, (_, index) => `s${String(index).padStart(2, '0')}`)
  const services = names.map((own, index) =>
    service(own, { exposes: [api(own)], edges: names.slice(index + 1).map((to) => calls(api(to), ['read'])) }),
  )
  expect(checkSystem(tiny(services)).findings.map(({ code }) => code)).toContain('PLY103')
})
