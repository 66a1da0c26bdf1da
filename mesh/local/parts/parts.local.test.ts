import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Channel, Connection } from 'rabbitmq-client'
import { ensureCertificates, rotateCertificates } from '#local/certificates/certificates.ts'
import { type CertFiles, certFiles, type Layout, layoutOf } from '#local/layout.ts'
import { processTable } from '#local/supervisor/proc.ts'
import { ensureToolchain, type Tools } from '#local/toolchain/toolchain.ts'
import type { Plan } from '#plan/plan.ts'
import { administrator, passwordFile } from '../secrets.ts'
import { answerTo, channelAllows, kafkaAllows, postgresAllows, recordCount, withPostgres } from './access-fixture.ts'
import type { Part } from './part.ts'
import { partsOf } from './parts.ts'
import { type RunningPart, startParts, stopParts } from './parts-fixture.ts'
import { bindReplies, drain, get, withRabbitmq as onRabbitmq, put, withChannel } from './rabbitmq-fixture.ts'
import { fixturePlan as plan } from './system-fixture.ts'
import { removeForgotten } from './unprivileged.ts'

const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../../.parley/tools')
const kafkaHello = Buffer.from('0000000a00120000' + '00000007ffff', 'hex')
const amqpHello = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1')
const identities = ['alpha', 'beta', 'gamma']
let stateDir: string
const withRabbitmq = <T>(user: string, use: (connection: Connection) => Promise<T>) =>
  onRabbitmq(layout, plan.system, user, use)
let layout: Layout
let tools: Tools
let parts: readonly Part[]
let running: readonly RunningPart[] = []

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'prl-'))
  layout = layoutOf(plan, { stateDir, subnet: '127.85.7', host: '127.85.7.1' })
  const needs = ['kafka', 'zipkin', 'postgres', 'rabbitmq', 'prometheus'] as const
  tools = await ensureToolchain({ toolsDir, needs, report: () => undefined })
  await ensureCertificates(plan, layout)
  parts = partsOf(plan, layout, tools)
  running = await startParts(parts)
}, 180_000)

afterAll(async () => {
  await stopParts(running)
  await rm(stateDir, { recursive: true, force: true })
  await removeForgotten()
}, 30_000)

describe('access: allowed if and only if granted', () => {
  const topics = plan.topics.flatMap(({ name }) => identities.map((identity) => ({ identity, name })))

  test.each(topics)('$identity and the topic $name', async ({ identity, name }) => {
    for (const operation of ['read', 'write'] as const) {
      const granted = plan.grants.topics.some(
        (grant) => grant.service === identity && grant.topic === name && grant.operation === operation,
      )
      expect([operation, await kafkaAllows(layout, identity, operation, name)]).toEqual([operation, granted])
    }
  })

  test.each(identities)('%s and the consumer group beta', async (identity) => {
    expect(await kafkaAllows(layout, identity, 'join', 'beta')).toBe(identity === 'beta')
  })

  const users = identities.filter((name) => plan.grants.queues.some(({ service }) => service === name))

  test.each(users)(
    '%s and the queues',
    async (user) => {
      await withRabbitmq(user, async (connection) => {
        for (const { name } of plan.queues) {
          const may = (operation: string) =>
            plan.grants.queues.some((one) => one.service === user && one.queue === name && one.operation === operation)
          const sends = await channelAllows(connection, (channel) => put(channel, name))
          const works = await channelAllows(connection, (channel) => channel.basicGet({ queue: name, noAck: false }))
          const asks = await channelAllows(connection, (channel) => bindReplies(channel, user, `${name}.reply`))
          expect({ name, sends, works, asks }).toEqual({
            name,
            sends: may('send') || may('ask'),
            works: may('work'),
            asks: may('ask'),
          })
        }
      })
    },
    20_000,
  )

  test.each(users)(
    '%s has no way around: not the default exchange, no queue of its own, no administration',
    async (user) => {
      await withRabbitmq(user, async (connection) => {
        const around: ((channel: Channel) => Promise<unknown>)[] = [
          (channel) => put(channel, '', 'jobs'),
          (channel) => channel.queueDeclare({ queue: 'mine' }),
          (channel) => channel.queueDelete({ queue: 'jobs' }),
          (channel) =>
            channel.queuePurge({ queue: 'jobs' }).then(() => channel.queueBind({ queue: 'jobs', exchange: 'quotes' })),
        ]
        for (const attempt of around) expect(await channelAllows(connection, attempt)).toBe(false)
      })
    },
  )

  test('a service without a queue has no user, and nobody is called guest', async () => {
    expect(await rabbitmqUsers()).toEqual(['alpha', 'beta', administrator])
    await expect(readFile(passwordFile(layout, 'rabbitmq', 'gamma'))).rejects.toThrow('ENOENT')
  })

  const databases = plan.stores.flatMap(({ database }) => identities.map((identity) => ({ identity, database })))

  test.each(databases)('$identity and the database $database', async ({ identity, database }) => {
    expect(await postgresAllows(layout, identity, database)).toBe(identity === database)
  })

  test('a role makes tables in its own database, and may not even look into the others', async () => {
    await withPostgres(layout, 'alpha', 'alpha', (client) => client.query('CREATE TABLE IF NOT EXISTS kept (id int)'))
    expect(await postgresAllows(layout, 'alpha', 'postgres')).toBe(false)
    expect(await postgresAllows(layout, 'alpha', 'template1')).toBe(false)
  })
})

describe('strangers', () => {
  let foreign: (name: string) => CertFiles

  beforeAll(async () => {
    const elsewhere = layoutOf(plan, { stateDir: join(stateDir, 'foreign'), subnet: '127.85.7', host: '127.85.7.1' })
    await ensureCertificates(plan, elsewhere)
    foreign = (name) => certFiles(elsewhere.certsDir, name)
  })

  test('plain text is not answered but by a TLS alert', async () => {
    const nothingOrAlert = ['', '\x15\x03']
    for (const port of [layout.kafka.port, layout.kafka.controllerPort])
      expect(nothingOrAlert).toContain((await answerTo({ ...layout.kafka, port }, kafkaHello, null)).slice(0, 2))
    expect(nothingOrAlert).toContain((await answerTo(layout.rabbitmq, amqpHello, null)).slice(0, 2))
  })

  test('Kafka takes neither no certificate nor another authority’s, on either listener', async () => {
    const own = certFiles(layout.certsDir, 'alpha')
    for (const port of [layout.kafka.port, layout.kafka.controllerPort]) {
      const at = { ...layout.kafka, port }
      expect(await answerTo(at, kafkaHello, { trust: own })).toBe('')
      expect(await answerTo(at, kafkaHello, { trust: own, show: foreign('alpha') })).toBe('')
      expect(await answerTo(at, kafkaHello, { trust: own, show: foreign('kafka') })).toBe('')
    }
    expect(await answerTo(layout.kafka, kafkaHello, { trust: own, show: own })).not.toBe('')
  })

  test('who trusts another authority takes neither broker', async () => {
    expect(await answerTo(layout.kafka, kafkaHello, { trust: foreign('alpha'), show: foreign('alpha') })).toBe('')
    expect(await answerTo(layout.rabbitmq, amqpHello, { trust: foreign('alpha') })).toBe('')
    expect(await answerTo(layout.rabbitmq, amqpHello, { trust: certFiles(layout.certsDir, 'alpha') })).not.toBe('')
  })
})

describe('a queue', () => {
  test('a refused task goes to the dead letters, a retried one comes back after its wait', async () => {
    await withRabbitmq('beta', async (worker) => {
      await drain(worker, 'jobs')
      await withRabbitmq('alpha', (sender) => withChannel(sender, (channel) => put(channel, 'jobs', 'jobs', 'bad')))
      await withChannel(worker, async (channel) => {
        const task = await get(channel, 'jobs')
        expect(task.body).toBe('bad')
        channel.basicNack({ deliveryTag: task.deliveryTag, requeue: false })
        expect((await get(channel, 'jobs.dead-letter')).body).toBe('bad')
        await put(channel, 'jobs.retry', 'jobs', 'later')
        await put(channel, 'jobs.retry-1', 'jobs', 'sooner')
        expect(await channel.basicGet({ queue: 'jobs' })).toBeUndefined()
        expect((await get(channel, 'jobs')).body).toBe('sooner')
        expect((await get(channel, 'jobs')).body).toBe('later')
      })
    })
  })

  test('a task that keeps killing its worker is delivered as often as declared, then is a dead letter', async () => {
    const declared = plan.queues.find(({ name }) => name === 'jobs')?.deliveryLimit
    await withRabbitmq('beta', async (worker) => {
      for (const queue of ['jobs', 'jobs.dead-letter']) await drain(worker, queue)
      await withRabbitmq('alpha', (sender) => withChannel(sender, (channel) => put(channel, 'jobs', 'jobs', 'poison')))
      await withChannel(worker, async (channel) => {
        let deliveries = 0
        for (let tries = 0; tries < 10; tries++) {
          const task = await channel.basicGet({ queue: 'jobs' })
          if (!task) {
            await sleep(20)
            continue
          }
          deliveries++
          channel.basicNack({ deliveryTag: task.deliveryTag, requeue: true })
        }
        expect(deliveries).toBe(declared)
        expect((await get(channel, 'jobs.dead-letter')).body).toBe('poison')
      })
    })
  })

  test('an answer reaches the asker alone', async () => {
    await withRabbitmq('alpha', (asker) =>
      withChannel(asker, async (channel) => {
        const queue = await bindReplies(channel, 'alpha', 'quotes.reply')
        await withRabbitmq('beta', (worker) =>
          withChannel(worker, (answering) => put(answering, 'quotes.reply', queue, '42')),
        )
        expect((await get(channel, queue)).body).toBe('42')
      }),
    )
  })

  test('its depth is shown to Prometheus', async () => {
    await withRabbitmq('alpha', (sender) => withChannel(sender, (channel) => put(channel, 'quotes')))
    const { address, metricsPort } = layout.rabbitmq
    const url = `http://${address}:${metricsPort}/metrics/detailed?family=queue_coarse_metrics`
    const depth = /rabbitmq_detailed_queue_messages_ready\{vhost="parts",queue="quotes"\} ([1-9])/
    const shown = async () => depth.test(await (await fetch(url)).text())
    while (!(await shown())) await sleep(200)
  }, 15_000)
})

describe('later', () => {
  test('provisioning again takes nothing away and is fast', async () => {
    const began = performance.now()
    await provision(parts)
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(await kafkaAllows(layout, 'alpha', 'write', 'things')).toBe(true)
    expect(await postgresAllows(layout, 'beta', 'beta')).toBe(true)
  })

  test('what is no longer declared is taken away, and comes back when it is declared again', async () => {
    const less = withoutBeta()
    await provision(partsOf(less, layout, tools))
    expect(await kafkaAllows(layout, 'beta', 'read', 'things')).toBe(false)
    expect(await kafkaAllows(layout, 'beta', 'join', 'beta')).toBe(false)
    expect(await postgresAllows(layout, 'beta', 'beta')).toBe(false)
    expect(await rabbitmqUsers()).toEqual(['alpha', administrator])
    await provision(parts)
    expect(await kafkaAllows(layout, 'beta', 'read', 'things')).toBe(true)
    expect(await postgresAllows(layout, 'beta', 'beta')).toBe(true)
    expect(await rabbitmqUsers()).toEqual(['alpha', 'beta', administrator])
  }, 20_000)

  test('an undeclared queue is removed when it is empty, and kept when it holds a task', async () => {
    await withRabbitmq('beta', async (worker) => {
      for (const queue of ['jobs', 'jobs.dead-letter']) await drain(worker, queue)
    })
    await withRabbitmq('alpha', (sender) => withChannel(sender, (channel) => put(channel, 'jobs', 'jobs', 'kept')))
    await provision(partsOf({ ...plan, queues: plan.queues.filter(({ name }) => name !== 'jobs') }, layout, tools))
    const log = await readFile(join(layout.logsDir, 'rabbitmq.log'), 'utf8')
    expect(log).toContain('the queue jobs is not declared any more and holds 1 messages')
    expect(log).not.toContain('the queue jobs.retry is not declared')
    await provision(parts)
    await withRabbitmq('beta', (worker) =>
      withChannel(worker, async (channel) => expect((await get(channel, 'jobs')).body).toBe('kept')),
    )
  }, 20_000)

  test('a task that waits for its next attempt comes back, though its wait is no longer declared', async () => {
    const slow = { deliveryLimit: 4, backoff: { baseMs: 1_000, maxMs: 4_000 } }
    const queues = plan.queues.map((queue) => (queue.name === 'jobs' ? { ...queue, ...slow } : queue))
    await provision(partsOf({ ...plan, queues }, layout, tools))
    await withRabbitmq('beta', async (worker) => {
      await drain(worker, 'jobs')
      await withChannel(worker, (channel) => put(channel, 'jobs.retry-2', 'jobs', 'waits'))
      await provision(parts)
      const log = await readFile(join(layout.logsDir, 'rabbitmq.log'), 'utf8')
      expect(log).toContain('the queue jobs.retry-2 is not declared any more and holds 1 messages')
      await withChannel(worker, async (channel) => expect((await get(channel, 'jobs')).body).toBe('waits'))
    })
  }, 20_000)

  test('a topic that would lose partitions is refused with both numbers', async () => {
    const topics = plan.topics.map((topic) => ({ ...topic, partitions: 1 }))
    const [kafka] = partsOf({ ...plan, topics }, layout, tools)
    await expect(kafka?.provision?.()).rejects.toThrow('things has 2 and is declared with 1')
  })

  test('a new authority is taken up while running, and the old one refused', async () => {
    const before = certFiles(join(stateDir, 'before'), 'alpha')
    await mkdir(dirname(before.cert), { recursive: true })
    const own = certFiles(layout.certsDir, 'alpha')
    for (const file of ['cert', 'key', 'authority'] as const) await copyFile(own[file], before[file])
    const settle = async (): Promise<void> => {
      await Promise.all(parts.map((part) => part.reload?.()))
    }
    await rotateCertificates(plan, layout, { authority: true, settle })
    expect(await kafkaAllows(layout, 'alpha', 'write', 'things')).toBe(true)
    for (const port of [layout.kafka.port, layout.kafka.controllerPort])
      expect(await answerTo({ ...layout.kafka, port }, kafkaHello, { trust: own, show: before })).toBe('')
    await withRabbitmq('alpha', (sender) => withChannel(sender, (channel) => put(channel, 'jobs')))
  }, 20_000)

  test('a restart keeps records, tasks and rows, and leaves no process between', async () => {
    await withPostgres(layout, 'alpha', 'alpha', (client) => client.query('INSERT INTO kept VALUES (7)'))
    await withRabbitmq('beta', (worker) => drain(worker, 'jobs'))
    await withRabbitmq('alpha', (sender) => withChannel(sender, (channel) => put(channel, 'jobs', 'jobs', 'kept')))
    const records = await recordCount(layout, 'things')
    const groups = running.map(({ child }) => child.pid)
    await stopParts(running)
    expect(processTable().filter(({ group }) => groups.includes(group))).toEqual([])
    running = await startParts(parts.filter(({ name }) => ['kafka', 'postgres', 'rabbitmq'].includes(name)))
    expect(records).toBeGreaterThan(0)
    expect(await recordCount(layout, 'things')).toBe(records)
    const { rows } = await withPostgres(layout, 'alpha', 'alpha', (client) => client.query('SELECT id FROM kept'))
    expect(rows).toEqual([{ id: 7 }])
    await withRabbitmq('beta', (worker) =>
      withChannel(worker, async (channel) => expect((await get(channel, 'jobs')).body).toBe('kept')),
    )
  }, 60_000)
})

function provision(some: readonly Part[]): Promise<unknown> {
  return Promise.all(some.map((part) => part.provision?.()))
}

/** The plan after somebody took every edge and the store of `beta` away. */
function withoutBeta(): Plan {
  const others = <T extends { readonly service: string }>(grants: readonly T[]) =>
    grants.filter(({ service }) => service !== 'beta')
  const { topics, groups, queues, databases, ...grants } = plan.grants
  return {
    ...plan,
    stores: plan.stores.filter(({ owner }) => owner !== 'beta'),
    grants: {
      ...grants,
      topics: others(topics),
      groups: others(groups),
      queues: others(queues),
      databases: others(databases),
    },
  }
}

/** The users of the broker, as the command that people are given tells them. */
async function rabbitmqUsers(): Promise<string[]> {
  const ctl = join(layout.runDir, 'bin', 'rabbitmqctl')
  const { stdout } = await promisify(execFile)(ctl, ['-q', 'list_users', '--formatter', 'json'])
  return (JSON.parse(stdout) as { user: string }[]).map(({ user }) => user).sort()
}
