/** Declared = allowed, for every pair: each attempt is really made, at the part that has to decide. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Channel } from 'rabbitmq-client'
import { replyExchange, replyQueuePrefix } from '#graph/names.ts'
import { type Authority, issue, newAuthority } from '#local/certificates/authority.ts'
import { certFiles } from '#local/layout.ts'
import { channelAllows, kafkaAllows, postgresAllows, rabbitmqAs } from '#local/parts/access-fixture.ts'
import { holders } from '#local/secrets.ts'
import { type Stack, startShop, startTimeoutMs } from '../stack.ts'
import { attempt, identityOf, letsIn } from './mesh-attempt.ts'

let shop: Stack
beforeAll(async () => {
  shop = await startShop(12)
}, startTimeoutMs)
afterAll(async () => shop?.stop(), 60_000)

describe('the mesh', () => {
  test('lets an identity call a method if and only if that is declared', async () => {
    const { services, grants } = shop.plan
    const isCalled = (service: string) => grants.calls.some(({ to }) => to === service)
    const declared = new Set(grants.calls.map(({ from, to, verb, path }) => `${from} → ${to} ${verb} ${path}`))
    const pairs = services.flatMap(({ name: from }) =>
      services.flatMap(({ name: to, protocol, apis }) =>
        protocol ? apis.flatMap(({ methods }) => methods.map((method) => ({ from, to, protocol, method }))) : [],
      ),
    )
    const allowed: string[] = []
    for (const { from, to, protocol, method } of pairs) {
      const verdict = await attempt(inbound(to), identityOf(certs(from)), protocol, method)
      if (verdict === 'allowed') allowed.push(`${from} → ${to} ${method.verb} ${method.path}`)
      // Whom nobody may call does not even listen for others.
      else expect({ to, verdict }).toEqual({ to, verdict: isCalled(to) ? 'denied' : 'no connection' })
    }
    const offered = services.flatMap(({ apis }) => apis.flatMap(({ methods }) => methods))
    expect(offered.map(({ name }) => name)).toEqual(expect.arrayContaining(['createOrder', 'checkStock', 'putProduct']))
    expect(pairs).toHaveLength(services.length * offered.length)
    expect(allowed.sort()).toEqual([...declared].sort())
  }, 60_000)

  test('denies what no contract has: health, reflection and unknown methods are not for others', async () => {
    for (const path of [
      '/grpc.health.v1.Health/Check',
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      '/x.Y/Z',
      '/',
    ]) {
      const method = { name: path, verb: 'POST', path, streaming: false }
      expect(await attempt(inbound('orders'), identityOf(certs('gateway')), 'grpc', method)).toBe('denied')
    }
  })

  test('lets nobody in without a certificate, with an expired one, with another authority’s, or in plain text', async () => {
    const gateway = shop.plan.services.find(({ name }) => name === 'gateway')
    const subject = { name: 'gateway', spiffe: gateway?.identity.spiffe ?? '', dnsNames: [], addresses: [] }
    const ours = readAuthority()
    const hourMs = 3_600_000
    const foreign = await issue(await newAuthority('shop', hourMs), subject, hourMs)
    const expired = await issue(ours, subject, hourMs, Date.now() - 2 * hourMs)
    const fresh = await issue(ours, subject, hourMs)
    const orders = inbound('orders')
    // The positive case first: without it the refusals would prove nothing.
    expect(await letsIn(orders, fresh)).toBe(true)
    expect(await letsIn(orders, {})).toBe(false)
    expect(await letsIn(orders, expired)).toBe(false)
    expect(await letsIn(orders, foreign)).toBe(false)
    const method = { name: 'getOrder', verb: 'POST', path: '/parley.orders.v1.OrderService/GetOrder', streaming: false }
    expect(await attempt(orders, null, 'grpc', method)).toBe('no connection')
  })
})

describe('the edge', () => {
  test('lets strangers call a gRPC method if and only if it is exposed, and by the wire of its exposure alone', async () => {
    const { services, exposures } = shop.plan
    const declared = exposures.flatMap(({ service, grpcWeb, methods }) =>
      protocolOf(service) === 'grpc'
        ? methods.map(({ path }) => `${service} ${grpcWeb ? 'grpc-web' : 'grpc'} ${path}`)
        : [],
    )
    const allowed: string[] = []
    for (const { name, protocol, apis } of services) {
      const edge = shop.layout.services[name]?.edge
      if (protocol !== 'grpc' || !edge) continue
      for (const method of apis.flatMap(({ methods }) => methods)) {
        for (const wire of ['grpc', 'grpc-web'] as const) {
          const verdict = await attempt(edge, null, wire, method)
          if (verdict === 'allowed') allowed.push(`${name} ${wire} ${method.path}`)
          else expect({ wire, method, verdict }).toEqual({ wire, method, verdict: 'unknown' })
        }
      }
    }
    expect(declared).toEqual(expect.arrayContaining([expect.stringMatching(/^orders grpc-web .*GetOrder$/)]))
    expect(allowed.sort()).toEqual(declared.sort())
  }, 60_000)
})

describe('the broker', () => {
  test('lets an identity read and write a topic, and join a group, if and only if that is declared', async () => {
    const { services, topics, subscriptions, grants } = shop.plan
    const groups = [...new Set([...subscriptions, ...grants.groups].map(({ group }) => group))]
    const declared = [
      ...grants.topics.map(({ service, topic, operation }) => `${service} ${operation} ${topic}`),
      ...grants.groups.map(({ service, group }) => `${service} join ${group}`),
    ]
    const attempts = services.flatMap(({ name }) => [
      ...topics.flatMap((topic) => [[name, 'read', topic.name] as const, [name, 'write', topic.name] as const]),
      ...groups.map((group) => [name, 'join', group] as const),
    ])
    const allowed: string[] = []
    await eachOf(attempts, 6, async ([identity, operation, name]) => {
      // The gateway has nothing to do with Kafka: it has a certificate all the same, and is let do nothing.
      if (await kafkaAllows(shop.layout, identity, operation, name).catch(joinedAsStranger))
        allowed.push(`${identity} ${operation} ${name}`)
    })
    expect(attempts.length).toBe(services.length * (2 * topics.length + groups.length))
    expect(allowed.sort()).toEqual(declared.sort())
  }, 120_000)
})

describe('the queue server', () => {
  test('lets an identity send to, work and ask over a queue if and only if that is declared', async () => {
    const { system, queues, grants } = shop.plan
    const allowed: string[] = []
    for (const service of holders(shop.plan, 'rabbitmq').slice(1)) {
      const connection = await rabbitmqAs(shop.layout, system, service)
      for (const { name, deadLetterQueue, replies } of queues) {
        const send = await channelAllows(connection, async (channel) => {
          await channel.confirmSelect()
          await channel.basicPublish({ exchange: name, routingKey: 'nowhere' }, 'x')
        })
        if (send) allowed.push(`${service} send ${name}`)
        if (await channelAllows(connection, (channel) => channel.basicGet(name)))
          allowed.push(`${service} work ${name}`)
        // To ask is to send, and to take answers in a queue of one's own.
        if (replies && (await channelAllows(connection, (channel) => awaitReplies(channel, service, name)))) {
          allowed.push(`${service} ask ${name}`)
        }
        expect(await channelAllows(connection, (channel) => awaitReplies(channel, 'nobody', name))).toBe(false)
        expect(
          await channelAllows(connection, (channel) => channel.queueDelete({ queue: deadLetterQueue ?? '' })),
        ).toBe(false)
      }
      await connection.close()
    }
    const declared = grants.queues.flatMap(({ service, operation, queue }) =>
      (operation === 'ask' ? ['ask', 'send'] : [operation]).map((one) => `${service} ${one} ${queue}`),
    )
    expect(allowed.sort()).toEqual(declared.sort())
  }, 60_000)

  test('has a user for each service with a queue, and for no other', async () => {
    const users = holders(shop.plan, 'rabbitmq').slice(1)
    expect(users.sort()).toEqual([...new Set(shop.plan.grants.queues.map(({ service }) => service))].sort())
  })
})

describe('the database', () => {
  test('lets a role into a database if and only if it is its own', async () => {
    const { stores, grants } = shop.plan
    const allowed: string[] = []
    for (const { role } of stores) {
      for (const { database } of stores) {
        if (await postgresAllows(shop.layout, role, database)) allowed.push(`${role} ${database}`)
      }
    }
    expect(allowed.sort()).toEqual(grants.databases.map(({ service, database }) => `${service} ${database}`).sort())
  })
})

function protocolOf(service: string) {
  return shop.plan.services.find(({ name }) => name === service)?.protocol
}

function inbound(service: string) {
  const site = shop.layout.services[service]
  if (!site) throw new Error(`The layout has no ${service}`)
  return site.inbound
}

function certs(service: string) {
  return certFiles(shop.layout.certsDir, service)
}

/** The run's own authority, as its owner could use it. */
function readAuthority(): Authority {
  const { cert, key } = certs('authority')
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

/** The group runs already, with members that assign partitions in another way: whoever is told so was let in. */
function joinedAsStranger(error: unknown): true {
  if (error instanceof Error && error.message.includes('protocols are incompatible')) return true
  throw error
}

async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** What an asker does before it asks. */
async function awaitReplies(channel: Channel, asker: string, name: string): Promise<void> {
  const replyTo = `${replyQueuePrefix(asker)}test`
  await channel.queueDeclare({ queue: replyTo, exclusive: true })
  await channel.queueBind({ queue: replyTo, exchange: replyExchange(name), routingKey: replyTo })
}
