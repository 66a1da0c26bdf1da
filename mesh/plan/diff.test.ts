import { describe, expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from './derive.ts'
import { type Change, diffPlans } from './diff.ts'
import type { Plan } from './plan.ts'

const plan = derive(shop, 'production')

test('equal plans differ in nothing, and a difference is the same thing seen from both ends', () => {
  expect(diffPlans(plan, derive(shop, 'production'))).toEqual([])
  const less = { ...plan, topics: plan.topics.filter(({ name }) => name !== 'shipments') }
  expect(summary(diffPlans(plan, less))).toEqual(['removed topic shipments'])
  expect(summary(diffPlans(less, plan))).toEqual(['added topic shipments'])
})

describe('whom a change breaks', () => {
  test('a shorter deadline is one change of one edge; it breaks a callee that may itself wait for longer', () => {
    const [change, ...others] = diffPlans(plan, withDeadline(250))
    expect(others).toEqual([])
    expect(change).toMatchObject({
      what: 'call',
      subject: 'gateway → orders.createOrder',
      fields: [{ field: 'deadlineMs', from: '1000', to: '250' }],
      breaks: 'orders may itself wait for inventory for longer than these 250 ms',
    })
    expect(diffPlans(plan, withDeadline(400))[0]).toMatchObject({ breaks: null })
  })

  test('a call that is taken away is refused to replicas that still make it', () => {
    const less = { ...plan, links: plan.links.filter(({ from }) => from !== 'orders') }
    expect(diffPlans(plan, less)).toEqual([
      expect.objectContaining({
        kind: 'removed',
        what: 'call',
        subject: 'orders → inventory.checkStock',
        breaks: expect.stringContaining('roll orders out first'),
      }),
    ])
  })

  test.each<[string, Partial<Plan['topics'][number]>, RegExp | null]>([
    [
      'a message that comes no more',
      { messages: [] },
      /shipping[^;]*: parley\.orders\.v1\.OrderConfirmed comes no more/,
    ],
    ['another key', { key: 'customerId' }, /drain the topic first/],
    ['fewer partitions', { partitions: 1 }, /cannot take partitions away/],
    ['more partitions', { partitions: 12 }, /keys move/],
    ['another owner', { owner: 'gateway' }, /orders, which may no longer write it/],
    ['a longer retention', { retentionMs: 1e12 }, null],
  ])('%s', (_what, change, breaks) => {
    const topics = plan.topics.map((topic) => (topic.name === 'orders' ? { ...topic, ...change } : topic))
    const [found, ...others] = diffPlans(plan, { ...plan, topics })
    expect([found?.subject, others]).toEqual(['orders', []])
    if (breaks) expect(found?.breaks).toMatch(breaks)
    else expect(found?.breaks).toBeNull()
  })

  test('fewer waits between attempts refuse what replicas of the worker put into those that are gone', () => {
    const attempts = (deliveryLimit: number) => ({
      ...plan,
      queues: plan.queues.map((queue) => (queue.name === 'emails' ? { ...queue, deliveryLimit } : queue)),
    })
    expect(diffPlans(attempts(5), attempts(3))[0]?.breaks).toBe(
      'replicas of notifications that still put tasks into emails.retry-2, emails.retry-3 are refused: roll notifications out first',
    )
    expect(diffPlans(attempts(3), attempts(5))[0]?.breaks).toBeNull()
  })

  test('a route that is gone breaks clients outside', () => {
    const exposures = plan.exposures.map((one) => ({ ...one, methods: one.methods.slice(1) }))
    expect(diffPlans(plan, { ...plan, exposures })[0]?.breaks).toBe(
      'clients outside that ask POST /api/{version}/orders',
    )
  })

  test('a version that is gone breaks clients outside, though its paths are there', () => {
    const exposures = plan.exposures.map((one) => ({ ...one, versions: one.versions.slice(1) }))
    const [change] = diffPlans(plan, { ...plan, exposures })
    expect(change?.breaks).toBe('clients outside that ask for v1')
    expect(JSON.stringify(change)).toMatch(/v1 \(deprecated [0-9-]+, sunset [0-9-]+\), v2/)
  })
})

function summary(changes: readonly Change[]): readonly string[] {
  return changes.map(({ kind, what, subject }) => `${kind} ${what} ${subject}`)
}

function withDeadline(deadlineMs: number): Plan {
  const links = plan.links.map((link) =>
    link.from === 'gateway' && link.to === 'orders'
      ? { ...link, routes: link.routes.map((route, at) => (at === 0 ? { ...route, deadlineMs } : route)) }
      : link,
  )
  return { ...plan, links }
}
