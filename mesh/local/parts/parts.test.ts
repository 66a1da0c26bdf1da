import { describe, expect, test } from '@jest/globals'
import { serviceEnvironment, standInEnvironment } from '#local/environment.ts'
import { layoutOf } from '#local/layout.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { kafkaConfig } from './kafka.ts'
import { aclsOf } from './kafka-admin.ts'
import type { PartTools } from './part.ts'
import { needsOf, partsOf } from './parts.ts'
import { postgresAccess, postgresConfig } from './postgres.ts'
import { prometheusConfig } from './prometheus.ts'
import { rabbitmqConfig } from './rabbitmq.ts'
import { definitionsOf, permissionsOf } from './rabbitmq-definitions.ts'
import { fixturePlan as plan } from './system-fixture.ts'

const layout = layoutOf(plan, { stateDir: '/state', subnet: '127.85.1', host: '127.0.0.1' })
const tools: PartTools = {
  java: '/java',
  kafkaClasspath: '/kafka/*',
  zipkinJar: '/zipkin.jar',
  postgresBin: '/pg',
  rabbitmqSbin: '/rabbitmq/sbin',
  prometheus: '/prometheus',
}

describe('what a plan needs', () => {
  test('all parts are there for a system that uses everything', () => {
    const names = partsOf(plan, layout, tools).map(({ name }) => name)
    expect(names).toEqual(['kafka', 'rabbitmq', 'postgres', 'zipkin', 'prometheus'])
  })

  test('a plan without topics, queues and stores starts no broker and no database', () => {
    const bare = { ...plan, topics: [], queues: [], stores: [] }
    expect(partsOf(bare, layout, tools).map(({ name }) => name)).toEqual(['zipkin', 'prometheus'])
  })

  test('a service waits for the parts it is granted and no others', () => {
    expect(needsOf(plan, 'alpha')).toEqual(['kafka', 'postgres', 'rabbitmq'])
    expect(needsOf(plan, 'gamma')).toEqual(['postgres'])
  })

  test('everything that listens does so on a loopback address', () => {
    for (const { listens } of partsOf(plan, layout, tools))
      for (const { address } of listens) expect(address).toMatch(/^127\./)
  })
})

describe('Kafka', () => {
  test('takes nobody without a certificate, and lets nobody do what no grant says', () => {
    expect(kafkaConfig(layout)).toMatchObject({
      'ssl.client.auth': 'required',
      'listener.security.protocol.map': 'CLIENTS:SSL,CONTROLLER:SSL',
      'allow.everyone.if.no.acl.found': false,
      'super.users': 'User:kafka',
      'auto.create.topics.enable': false,
      listeners: 'CLIENTS://127.85.1.2:9092,CONTROLLER://127.85.1.2:9093',
    })
  })

  test('the principal is the whole common name and nothing around it', () => {
    const rule = /^RULE:(.*)\/\$1\/$/.exec(String(kafkaConfig(layout)['ssl.principal.mapping.rules']))?.[1] ?? ''
    const principal = (name: string) => new RegExp(rule).exec(name)?.[1]
    expect(principal('CN=orders')).toBe('orders')
    expect(principal('O=x,CN=orders,C=CH')).toBe('orders')
    expect(principal('O=CN=kafka')).toBeUndefined()
  })

  test('one entry of the access list a grant', () => {
    const list = aclsOf(plan).map((acl) => [acl.principal, acl.resourceType, acl.resourceName, acl.operation])
    const [topic, group, read, write] = [2, 3, 3, 4]
    expect(list.sort()).toEqual(
      [
        ['User:alpha', topic, 'things', write],
        ['User:beta', topic, 'things', read],
        ['User:beta', topic, 'things.beta.dead-letter', read],
        ['User:beta', topic, 'things.beta.dead-letter', write],
        ['User:beta', group, 'beta', read],
      ].sort(),
    )
  })
})

describe('RabbitMQ', () => {
  test('permissions are as wide as the grants', () => {
    expect(permissionsOf(plan)).toEqual([
      {
        user: 'alpha',
        configure: '^(alpha\\.reply\\..*)$',
        write: '^(jobs|quotes|alpha\\.reply\\..*)$',
        read: '^(quotes\\.reply|alpha\\.reply\\..*)$',
      },
      {
        user: 'beta',
        configure: '^$',
        write:
          '^(jobs\\.retry-1|jobs\\.retry|jobs\\.dead-letter|' +
          'quotes\\.retry-1|quotes\\.retry-2|quotes\\.retry-3|quotes\\.retry|quotes\\.dead-letter|quotes\\.reply)$',
        read: '^(jobs|jobs\\.dead-letter|quotes|quotes\\.dead-letter)$',
      },
    ])
  })

  test('nobody may write the default exchange, which reaches every queue', () => {
    for (const { write } of permissionsOf(plan)) expect(new RegExp(write).test('amq.default')).toBe(false)
  })

  test('each queue is a quorum queue behind an exchange of its name; limits are policies, which can change', () => {
    const definitions = definitionsOf(plan, { parley_admin: 'a', alpha: 'b', beta: 'c' })
    const jobs = ['jobs', 'jobs.retry-1', 'jobs.retry', 'jobs.dead-letter']
    expect(definitions.queues.map(({ name }) => name)).toEqual(expect.arrayContaining(jobs))
    expect(definitions.exchanges.map(({ name }) => name)).toEqual(expect.arrayContaining([...jobs, 'quotes.reply']))
    const policy = (name: string) => definitions.policies.find((one) => one.name === name)
    expect(policy('jobs')).toMatchObject({
      pattern: '^(jobs)$',
      definition: {
        'delivery-limit': 2,
        'max-length': 100,
        overflow: 'reject-publish',
        'dead-letter-exchange': 'jobs.dead-letter',
      },
    })
    // One queue for each wait: its head is the first whose wait is over.
    for (const [name, ms] of Object.entries({ 'jobs.retry-1': 200, 'jobs.retry': 400 }))
      expect(policy(name)?.definition).toEqual({
        ...{ 'max-length': 100, overflow: 'reject-publish', 'message-ttl': ms },
        ...{ 'dead-letter-exchange': 'jobs', 'dead-letter-strategy': 'at-least-once' },
      })
    // RabbitMQ 4 drops what was delivered 20 times where nobody says otherwise, and there is no dead letter of a dead letter.
    expect(policy('jobs.dead-letter')?.definition['delivery-limit']).toBe(1_000_000)
    expect(JSON.stringify(definitions)).toBe(
      JSON.stringify(definitionsOf(plan, { parley_admin: 'a', alpha: 'b', beta: 'c' })),
    )
  })

  test('speaks TLS on its own address and nothing else', () => {
    const config = rabbitmqConfig(plan, layout, 'secret')
    expect(config).toContain('listeners.tcp = none\n')
    expect(config).toContain('listeners.ssl.1 = 127.85.1.3:5671\n')
    expect(config).toContain('prometheus.tcp.ip = 127.85.1.3\n')
  })
})

describe('Postgres', () => {
  test('a role may reach its own database and no other', () => {
    expect(postgresAccess(plan)).toBe(
      'local all "parley_admin" scram-sha-256\n' +
        'local "alpha" "alpha" scram-sha-256\n' +
        'local "beta" "beta" scram-sha-256\n' +
        'local "gamma" "gamma" scram-sha-256\n',
    )
  })

  test('listens on no address; there is room for all connections, and for the replica that comes while one goes', () => {
    const config = postgresConfig(plan, layout, '/sockets')
    expect(config).toContain("listen_addresses = ''\n")
    expect(config).toContain("unix_socket_directories = '/sockets'\n")
    expect(config).toContain(`max_connections = ${(3 + 10 + 10) * 2 + 10}\n`)
  })
})

test('Prometheus scrapes each sidecar twice, and depth queue by queue', () => {
  const text = JSON.stringify(prometheusConfig(plan, layout))
  for (const { name } of plan.services) {
    const target = `127.85.1.${10 + plan.services.findIndex((one) => one.name === name)}:15090`
    expect(text.split(JSON.stringify({ targets: [target], labels: { service: name } }))).toHaveLength(3)
  }
  expect(text).toContain('"metrics_path":"/metrics/detailed"')
})

describe('the environment of a process', () => {
  const shopPlan = derive(shop, 'local')
  const shopLayout = layoutOf(shopPlan, { stateDir: '/state', subnet: '127.85.1', host: '127.0.0.1' })
  const of = (service: string) => serviceEnvironment(shopPlan, shopLayout, service)

  test('holds what is granted', () => {
    expect(of('orders')).toMatchObject({
      PARLEY_LISTEN: 'unix:/state/runs/shop/s/orders/app.sock',
      PARLEY_CALL_INVENTORY: 'unix:/state/runs/shop/s/orders/out.sock',
      PARLEY_CALLEES: 'parley.inventory.v1.InventoryService=inventory',
      KAFKA_BROKERS: '127.85.1.2:9092',
      PGDATABASE: 'orders',
      PGUSER: 'orders',
      OTEL_SERVICE_NAME: 'orders',
    })
    expect(of('notifications')).toMatchObject({
      AMQP_USERNAME: 'notifications',
      AMQP_VHOST: 'shop',
      PARLEY_REACH_MAIL: 'unix:/state/runs/shop/s/notifications/mail.sock',
    })
    expect(of('payments')).toMatchObject({ PARLEY_REACH_BANK: 'unix:/state/runs/shop/s/payments/out.sock' })
  })

  test('holds nothing else', () => {
    const names = (service: string) =>
      Object.keys(of(service)).filter((name) => !/^(OTEL_|LANG|TZ|LOG_LEVEL)/.test(name))
    expect(names('gateway')).toEqual([
      ...['PARLEY_SYSTEM', 'PARLEY_SERVICE', 'PARLEY_ENVIRONMENT', 'PARLEY_VERSION', 'PARLEY_LISTEN', 'PARLEY_ADMIN'],
      ...['PARLEY_CALL_CATALOG', 'PARLEY_CALL_ORDERS', 'PARLEY_CALLEES'],
      ...['AMQP_HOST', 'AMQP_PORT', 'AMQP_VHOST', 'AMQP_USERNAME', 'AMQP_PASSWORD_FILE', 'AMQP_TLS_CA'],
    ])
    expect(of('notifications').PARLEY_LISTEN).toBeUndefined()
    expect(of('webhooks').PARLEY_WEBHOOK_RECEIVERS).toBe('127.0.0.1')
    expect(of('payments').PARLEY_WEBHOOK_RECEIVERS).toBeUndefined()
  })

  test('a stand-in gets where to listen, and no secret', () => {
    const { PARLEY_LISTEN, PARLEY_WEB, ...rest } = standInEnvironment(shopPlan, shopLayout, 'mail')
    expect([PARLEY_LISTEN, PARLEY_WEB]).toEqual(['tcp:127.85.1.201:8080', 'tcp:127.0.0.1:8025'])
    expect(Object.keys(rest).filter((name) => /^(KAFKA|PG|AMQP|OTEL)/.test(name))).toEqual([])
  })
})
