import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { type SystemNode, system } from '#graph/system.ts'
import { shop } from '#mesh/shop.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { derive } from './derive.ts'

describe('the plan', () => {
  test('is frozen all the way down', () => {
    const plan = derive(shop, 'local')
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(plan)).toBe(true)
  })

  test('survives JSON unchanged: nothing in it is undefined, a function or a class', () => {
    const plan = derive(shop, 'production')
    expect(JSON.parse(JSON.stringify(plan))).toStrictEqual(plan)
  })

  test('each interface describes itself under its name, and the first of a host at the path that one service alone can have', () => {
    const api = rest('more-api', { more: 'GET /more' })
    const more = service('more', { exposes: [api] })
    const described = (host: string, at: string) => {
      const exposures = [...shop.exposures, exposure('shop-more', more, api, { host })]
      const plan = derive(system('shop', { ...shop, services: [...shop.services, more], exposures }), 'local')
      return plan.exposures.filter(({ methods }) => methods.some(({ path }) => path === at)).map(({ name }) => name)
    }
    expect(described('*', '/openapi.json')).toEqual(['shop'])
    expect(described('more.example', '/openapi.json')).toEqual(['shop', 'shop-more'])
    expect(described('*', '/openapi/more-api.json')).toEqual(['shop-more'])
    expect(described('*', '/openapi/orders-api.json')).toEqual(['shop'])
  })

  test('is byte-equal however the services and exposures are ordered', () => {
    const expected = JSON.stringify(derive(shop, 'local'))
    fc.assert(
      fc.property(fc.shuffledSubarray([...shop.services], { minLength: shop.services.length }), (services) => {
        const shuffled: SystemNode = { ...shop, services }
        expect(JSON.stringify(derive(shuffled, 'local'))).toBe(expected)
      }),
      { numRuns: 50 },
    )
  })

  test('differs between environments only where they differ', () => {
    const local = derive(shop, 'local')
    const production = derive(shop, 'production')
    expect(production.grants).toStrictEqual(local.grants)
    expect(production.links).toStrictEqual(local.links)
    expect(
      production.topics.every(({ replication, minInSyncReplicas }) => replication === 3 && minInSyncReplicas === 2),
    ).toBe(true)
  })

  test('lets in no page of the visitor’s own machine in production', () => {
    const api = rest('more-api', { more: 'GET /more' })
    const more = service('more', { exposes: [api] })
    const named = ['https://shop.example', 'http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:8080']
    const exposures = [exposure('more', more, api, { client: 'browser', origins: named })]
    const origins = (name: 'kind' | 'production') =>
      derive(system('more', { services: [more], exposures }), name).exposures.flatMap((each) => each.origins)
    expect(origins('kind')).toEqual(named)
    expect(origins('production')).toEqual(['https://shop.example'])
  })
})

describe('defaults', () => {
  test('a service of two lines gets an identity, replicas, resources and an objective', () => {
    const inventory = service('inventory', { exposes: [InventoryService] })
    const [planned] = derive(system('tiny', { services: [inventory] }), 'local').services
    expect(planned).toMatchObject({
      identity: { name: 'inventory', spiffe: 'spiffe://cluster.local/ns/tiny/sa/inventory' },
      start: { kind: 'module', file: 'services/inventory/main.ts' },
      replicas: 1,
      protocol: 'grpc',
    })
  })

  test('an edge without a policy has a deadline, a breaker and limits, and one attempt', () => {
    const inventory = service('inventory', { exposes: [InventoryService] })
    const caller = service('caller', { edges: [calls(InventoryService, ['checkStock'])] })
    const [link] = derive(system('tiny', { services: [inventory, caller] }), 'local').links
    expect(link).toMatchObject({
      breaker: { failures: 5, openMs: 30_000 },
      limits: { concurrentMax: 100, pendingMax: 100 },
      routes: [{ deadlineMs: 1_000, retry: null, fallback: false }],
    })
  })
})

describe('grants', () => {
  const { grants } = derive(shop, 'local')

  test('a topic has one writer, and dead letters are written and read by their group alone', () => {
    const writers = Object.groupBy(
      grants.topics.filter(({ operation }) => operation === 'write'),
      ({ topic }) => topic,
    )
    expect(Object.values(writers).every((all) => all?.length === 1)).toBe(true)
    expect(grants.topics.filter(({ topic }) => topic === 'stock.payments.dead-letter')).toEqual([
      { service: 'payments', topic: 'stock.payments.dead-letter', operation: 'write' },
      { service: 'payments', topic: 'stock.payments.dead-letter', operation: 'read' },
    ])
  })

  test('a call that is not declared is not granted', () => {
    expect(grants.calls.filter(({ to }) => to === 'inventory')).toEqual([
      { from: 'orders', to: 'inventory', verb: 'POST', path: '/parley.inventory.v1.InventoryService/CheckStock' },
    ])
  })

  test('who may rebuild its state may join a second group for it, and nobody else may', () => {
    const groups = grants.groups.map(({ service: name, group }) => `${name} ${group}`)
    expect(groups.filter((each) => each.startsWith('analytics'))).toEqual([
      'analytics analytics',
      'analytics analytics.replay',
    ])
    expect(groups.filter((each) => each.startsWith('shipping'))).toEqual(['shipping shipping'])
  })

  test('a database has one role', () => {
    const owners = shop.services.filter(({ spec }) => spec.owns).map(({ name }) => `${name} ${name}`)
    expect(owners).toContain('orders orders')
    expect(grants.databases.map(({ service: role, database }) => `${role} ${database}`)).toEqual(owners.sort())
  })
})
