import { expect, test } from '@jest/globals'
import { type Drift, driftOf } from './edges.ts'
import { judge } from './mesh-status.ts'

const drift = (component: string, name: string): Drift => ({ component, name, object: name, what: 'is missing' })
const services = new Set(['gateway', 'orders', 'inventory'])
const call = { kind: 'call', from: 'gateway', to: 'orders', what: '' } as const

test('a policy of one call concerns that call alone; any other concerns every edge of its service', () => {
  const drifts = [drift('orders', 'gateway.orders'), drift('inventory', 'orders.inventory'), drift('orders', 'orders')]
  const names = (edge: Parameters<typeof driftOf>[0]) => driftOf(edge, drifts, services).map(({ name }) => name)
  expect(names(call)).toEqual(['gateway.orders', 'orders'])
  expect(names({ ...call, kind: 'topic' })).toEqual(['orders'])
  expect(names({ kind: 'call', from: 'orders', to: 'inventory', what: '' })).toEqual(['orders.inventory', 'orders'])
})

test('a proxy is in sync when it acknowledged what was last sent, and only those of the namespace count', () => {
  const proxies = [
    { proxy: 'orders-1.shop', cluster_sent: 'a', cluster_acked: 'a', route_sent: 'b', route_acked: 'b' },
    { proxy: 'gateway-1.shop', cluster_sent: 'a', cluster_acked: 'a', listener_sent: 'c' },
    { proxy: 'other-1.workshop', cluster_sent: 'x' },
  ]
  expect(judge(proxies, 'shop')).toEqual({
    inSync: ['orders-1'],
    behind: [{ pod: 'gateway-1', what: 'listener' }],
  })
})
