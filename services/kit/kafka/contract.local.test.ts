import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { copyFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import kafkajs from 'kafkajs'
import { until } from '../until-fixture.ts'
import { type BrokerFixture, createTopics, startBroker, superUser } from './broker-fixture.ts'
import { membership } from './consumer.ts'
import { partitionOf } from './partitioner.ts'
import {
  type Batch,
  type ConsumeOptions,
  type Consumer,
  type HandleContext,
  type Kafka,
  type KafkaClient,
  type KafkaError,
  type OutgoingRecord,
  type Producer,
  recordBytesMax,
} from './port.ts'
import { connect } from './select.ts'

// Real parts on a busy machine; each wait inside a test has a limit of its own.
jest.setTimeout(30_000)

const clients: readonly KafkaClient[] = ['kafkajs', 'platformatic']
let broker: BrokerFixture
let admin: kafkajs.Admin
const open: { close(): Promise<void> }[] = []
const untilEnd: Consumer[] = []
const problems: KafkaError[] = []

beforeAll(async () => {
  broker = await startBroker()
  admin = superUser(broker).admin()
  await admin.connect()
  await createTopics(admin, ...['forbidden', 'read-only'].map((topic) => ({ topic, numPartitions: 1 })))
  const { AclOperationTypes: can, AclResourceTypes: on, ResourcePatternTypes: by } = kafkajs
  const grant = (resourceType: number, resourceName: string, operation: number, resourcePatternType = by.PREFIXED) => ({
    ...{ resourceType, resourceName, resourcePatternType, operation, host: '*', principal: 'User:app' },
    permissionType: kafkajs.AclPermissionTypes.ALLOW,
  })
  await admin.createAcls({
    acl: [
      grant(on.TOPIC, 't-', can.READ),
      grant(on.TOPIC, 't-', can.WRITE),
      grant(on.GROUP, 'g-', can.READ),
      grant(on.TOPIC, 'read-only', can.READ, by.LITERAL),
    ],
  })
}, 60_000)

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
  problems.length = 0
})

afterAll(async () => {
  await Promise.all(untilEnd.map((each) => each.close({ drainMs: 0 })))
  await Promise.allSettled(longHandlers.values())
  await admin?.disconnect()
  await broker?.stop()
})

describe.each(clients)('%s', (adapter) => {
  it('carries key, value, headers, time and order', async () => {
    const { kafka, topic, send } = await setUp(adapter, 3)
    const sent = Array.from({ length: 60 }, (_, at) => record(topic, `key-${at % 7}`, `value-${at}`, { at: `${at} é` }))
    for (let at = 0; at < 60; at += 15) await send(...sent.slice(at, at + 15))
    const { seen } = await consume(kafka, topic, { batchMax: 4 })
    await until(() => seen.length === 60, 'all 60 are seen')

    for (const [key, own] of Map.groupBy(seen, (each) => each.key)) {
      const expected = sent.filter((each) => each.key === key)
      expect(own.map((each) => each.value.toString())).toEqual(expected.map((each) => each.value.toString()))
      expect(own.map((each) => each.headers)).toEqual(expected.map((each) => each.headers))
    }
    expect(Math.abs(Date.now() - (seen[0]?.timestampMs ?? 0))).toBeLessThan(60_000)
  })

  it('hands over all that a fetch brought, and lets records gather before the next one', async () => {
    const { kafka, topic, send } = await setUp(adapter, 2)
    await send({ ...record(topic, 'k', 'a'), partition: 0 }, { ...record(topic, 'k', 'A'), partition: 1 })
    const handled: { value: string; atMs: number }[] = []
    const handle = async ({ records }: Batch) => {
      handled.push({ value: records.map(({ value }) => value).join(''), atMs: performance.now() })
    }
    const { seen } = await consume(kafka, topic, { handle, gatherMs: 1_000 })
    await until(() => seen.length === 2, 'the first ones are seen')
    const [first, second] = handled
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeLessThan(500)
    for (const value of ['b', 'c', 'd']) await send({ ...record(topic, 'k', value), partition: 0 })
    await until(() => seen.length === 5, 'all are seen')
    expect(handled.slice(2).map(({ value }) => value)).toEqual(['bcd'])
  })

  it('tells when a record was written by the clock of the broker, not of its producer', async () => {
    const { kafka, topic } = await setUp(adapter, 1)
    const fast = superUser(broker).producer()
    await fast.connect()
    await fast.send({ topic, messages: [{ value: 'early', timestamp: String(Date.now() + 1_800_000) }] })
    await fast.disconnect()
    const { seen } = await consume(kafka, topic)
    await until(() => seen.length === 1, 'it is seen')
    expect(Math.abs(Date.now() - (seen[0]?.timestampMs ?? 0))).toBeLessThan(60_000)
  })

  it('puts a key where the Java client puts it', async () => {
    const { kafka, topic, send } = await setUp(adapter, 5)
    const keys = Array.from({ length: 40 }, (_, at) => `order-${at}`)
    await send(...keys.map((key) => record(topic, key)))
    await send({ ...record(topic, 'explicit'), partition: 4 })
    const { seen } = await consume(kafka, topic)
    await until(() => seen.length === 41, 'all 41 are seen')
    const expected = new Map([...keys.map((key) => [key, partitionOf(key, 5)] as const), ['explicit', 4] as const])
    expect(new Map(seen.map(({ key, partition }) => [key, partition]))).toEqual(expected)
  })

  it('handles a partition again from the first record not done, while its neighbours go on', async () => {
    const { kafka, topic, send, committed } = await setUp(adapter, 2)
    await send(...['a', 'b', 'c', 'd'].map((value) => ({ ...record(topic, 'k', value), partition: 0 })))
    const attempts: string[] = []
    let mended = false
    const handle = async ({ partition, records }: Batch, { attempt, done }: HandleContext) => {
      if (partition === 1) return
      attempts.push(`${attempt}:${records.map(({ value }) => value).join('')}`)
      if (attempt === 1) done(1n)
      if (!mended) throw new Error('poison')
    }
    const { group, seen } = await consume(kafka, topic, { handle, backoff: { firstMs: 100, maxMs: 100 } })
    await until(() => attempts.length === 3, 'three attempts were made')
    expect(attempts).toEqual(['1:abcd', '2:cd', '3:cd'])

    await send({ ...record(topic, 'k', 'neighbour'), partition: 1 })
    await until(() => seen.some(({ partition }) => partition === 1), 'the other partition is read')
    await until(async () => `${await committed(group)}` === '2,1', 'its first two are committed')
    mended = true
    await until(async () => `${await committed(group)}` === '4,1', 'all are committed')
    expect(problems.map(({ code }) => code)).toContain('HANDLER_FAILED')
  })

  it('commits nothing that is not handled: what a killed member held comes again', async () => {
    const { kafka, topic, send, committed } = await setUp(adapter, 1)
    await send(record(topic, 'k', 'first'))
    let signal: AbortSignal | undefined
    const held = Promise.withResolvers<void>()
    const handle = async (_batch: Batch, context: HandleContext) => {
      signal = context.signal
      await held.promise
    }
    const killed = await consume(kafka, topic, { handle })
    await until(() => signal !== undefined, 'its partition is lost')
    await killed.consumer.close({ drainMs: 0 })
    expect(signal?.aborted).toBe(true)
    expect(await committed(killed.group)).toEqual([-1])

    const next = await consume(kafka, topic, { groupId: killed.group })
    await until(() => next.seen.length === 1, 'the next one has it')
    held.resolve()
    await next.consumer.close()
    expect(await committed(killed.group)).toEqual([1])
  })

  it('drains: close waits for the running handler and commits what it did', async () => {
    const { kafka, topic, send, committed } = await setUp(adapter, 1)
    await send(record(topic, 'k', 'first'))
    let begun = false
    const handle = async () => {
      begun = true
      await sleep(300)
    }
    const { consumer, group } = await consume(kafka, topic, { handle })
    await until(() => begun, 'it has begun')
    await consumer.close()
    expect(await committed(group)).toEqual([1])
  })

  it('shares the partitions of a group, also with the other client, and hands them over at once', async () => {
    const { kafka, topic, send } = await setUp(adapter, 4)
    const other = await connectAs('app', adapter === 'kafkajs' ? 'platformatic' : 'kafkajs')
    const first = await consume(kafka, topic)
    expect(first.consumer.assigned()).toHaveLength(4)
    const second = await consume(other, topic, { groupId: first.group })
    await until(
      () => first.consumer.assigned().length === 2 && second.consumer.assigned().length === 2,
      'both have two partitions',
    )

    const begunMs = performance.now()
    await first.consumer.close()
    await until(() => second.consumer.assigned().length === 4, 'the second has all four')
    expect(performance.now() - begunMs).toBeLessThan(3_000)
    await send(...Array.from({ length: 8 }, (_, at) => ({ ...record(topic, 'k', `${at}`), partition: at % 4 })))
    await until(() => second.seen.length === 8, 'the second has seen all')
  })

  it('keeps its partition while a handler runs longer than the session timeout', async () => {
    expect(await longHandlers.get(adapter)).toEqual({ attempts: 1, committed: [1] })
  })

  it('refuses what the principal may not do, for good', async () => {
    const { kafka, topic, send } = await setUp(adapter, 1)
    const refusal = { name: 'KafkaError', code: 'NOT_AUTHORIZED', retriable: false }
    await expect(send(record('forbidden', 'k'))).rejects.toMatchObject(refusal)
    await expect(consume(kafka, 'forbidden')).rejects.toMatchObject(refusal)
    await expect(consume(kafka, topic, { groupId: 'not-mine' })).rejects.toMatchObject(refusal)
  })

  it('says that a topic is missing', async () => {
    const kafka = await connectAs('app', adapter)
    const sending = producer(kafka, { deliveryTimeoutMs: 1_000 }).send([record('t-missing', 'k')])
    await expect(sending).rejects.toMatchObject({
      retriable: true,
      message: expect.stringMatching(/t-missing.*(not host this topic|UNKNOWN_TOPIC)/),
    })
  })

  it('does not lose a send after one that failed half', async () => {
    const { kafka, topic, send } = await setUp(adapter, 1)
    await expect(send(record(topic, 'k', 'half'), record('read-only', 'k'))).rejects.toMatchObject({
      code: 'NOT_AUTHORIZED',
    })
    await send(record(topic, 'k', 'next'))
    const { seen } = await consume(kafka, topic)
    await until(() => seen.some(({ value }) => value.toString() === 'next'), 'the next is seen')
  })

  it('refuses a certificate of another authority, and plain text', async () => {
    const refused = { code: 'AUTHENTICATION_FAILED', retriable: false }
    const foreign = await connectWith(adapter, broker.foreignIdentity('app'))
    await expect(producer(foreign).send([record('t-any', 'k')])).rejects.toMatchObject(refused)
    await expect(consume(foreign, 't-any')).rejects.toMatchObject(refused)
    const plain = await connectWith(adapter, undefined)
    const sending = producer(plain, { deliveryTimeoutMs: 1_000 }).send([record('t-any', 'k')])
    await expect(sending).rejects.toMatchObject({ name: 'KafkaError' })
  })

  it('uses a certificate replaced on disk for its next connection', async () => {
    const { topic } = await setUp(adapter, 1)
    const mended = broker.identity('app')
    const { certFile, keyFile } = broker.foreignIdentity(`rotated-${adapter}`)
    const kafka = await connectWith(adapter, { caFile: mended.caFile, certFile, keyFile })
    const { send } = producer(kafka)
    await expect(send([record(topic, 'k')])).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    copyFileSync(mended.certFile, certFile)
    copyFileSync(mended.keyFile, keyFile)
    await send([record(topic, 'k')])
  })

  it('refuses a record over the limit and splits a send over the request limit', async () => {
    const { kafka, topic, send } = await setUp(adapter, 1)
    const tooLarge = { ...record(topic, 'k'), value: Buffer.alloc(recordBytesMax) }
    await expect(send(tooLarge)).rejects.toMatchObject({
      code: 'RECORD_TOO_LARGE',
      retriable: false,
      message: expect.stringContaining(`at most ${recordBytesMax}`),
    })
    const large = Array.from({ length: 5 }, (_, at) => ({ ...record(topic, `${at}`), value: Buffer.alloc(500_000) }))
    await send(...large)
    const { seen } = await consume(kafka, topic)
    await until(() => seen.length === 5, 'all five are seen')
    expect(seen.map(({ key }) => key)).toEqual(['0', '1', '2', '3', '4'])
  })

  it('tells the lag, and goes on with the first record left when those at its offset were deleted', async () => {
    const { kafka, topic, send } = await setUp(adapter, 1)
    await send(...Array.from({ length: 10 }, (_, at) => record(topic, 'k', `${at}`)))
    let failing = true
    const handle = async (_batch: Batch, { done }: HandleContext) => {
      if (failing) done(2n)
      if (failing) throw new Error('not yet')
    }
    const first = await consume(kafka, topic, { handle, batchMax: 5, backoff: { firstMs: 50, maxMs: 50 } })
    await until(() => first.consumer.lag()[0]?.lag === 7, 'the lag is told')
    await first.consumer.close()
    // kafkajs looks for the leader before it has asked for it, unless something else has.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] })
    failing = false
    const { seen } = await consume(kafka, topic, { groupId: first.group })
    await until(() => seen.length === 4, 'all four are seen')
    expect(seen.map(({ value }) => value.toString())).toEqual(['6', '7', '8', '9'])
    expect(await kafka.beginnings([topic])).toEqual([{ topic, partition: 0, offset: 6n }])
    await expect(kafka.beginnings(['forbidden'])).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
  })

  it('begins where the member says, whatever the group has committed, and goes on with the rest where the group stands', async () => {
    const { kafka, topic, send, committed } = await setUp(adapter, 2)
    const both = ['a', 'b', 'c', 'd'].flatMap((value) => [0, 1].map((partition) => ({ value, partition })))
    await send(...both.map(({ value, partition }) => ({ ...record(topic, 'k', value), partition })))
    const first = await consume(kafka, topic)
    await until(async () => `${await committed(first.group)}` === '4,4', 'all are committed')
    await first.consumer.close()

    const asked: number[][] = []
    const startAt: ConsumeOptions['startAt'] = async (partitions) => {
      asked.push(partitions.map(({ partition }) => partition).sort())
      await sleep(300)
      return [{ topic, partition: 0, offset: 1n }]
    }
    const next = await consume(kafka, topic, { groupId: first.group, startAt })
    await send({ ...record(topic, 'k', 'new'), partition: 1 })
    await until(() => next.seen.length >= 4, 'the next one has seen four')
    const seen = next.seen.map(({ partition, value }) => `${partition}${value}`).sort()
    expect(seen).toEqual(['0b', '0c', '0d', '1new'])
    expect(asked).toEqual([[0, 1]])
  })

  it('asks again where a member begins when it could not be told', async () => {
    const { kafka, topic, send } = await setUp(adapter, 1)
    await send(record(topic, 'k', 'a'), record(topic, 'k', 'b'))
    let failures = 0
    const startAt: ConsumeOptions['startAt'] = async () => {
      failures += 1
      if (failures < 3) throw new Error('the store is away')
      return [{ topic, partition: 0, offset: 1n }]
    }
    const { seen } = await consume(kafka, topic, { startAt })
    await until(() => seen.length > 0, 'one is seen')
    expect(seen.map(({ value }) => value.toString())).toEqual(['b'])
  })

  it('delivers within milliseconds (printed, not asserted)', async () => {
    const { kafka, topic, send } = await setUp(adapter, 1)
    const tookMs: number[] = []
    const handle = async ({ records }: Batch) => {
      for (const { value } of records) tookMs.push(performance.now() - Number(value))
    }
    await consume(kafka, topic, { handle })
    for (let at = 0; at < 60; at += 1) {
      await send(record(topic, 'k', `${performance.now()}`))
      await sleep(5)
    }
    await until(() => tookMs.length === 60, 'all 60 are answered')
    const [p50, p95] = [0.5, 0.95].map((share) => tookMs.toSorted((a, b) => a - b)[Math.floor(60 * share)]?.toFixed(1))
    process.stdout.write(`${adapter}: publish to handler p50 ${p50} ms, p95 ${p95} ms\n`)
  })
})

it('begins no heartbeats for a member that is closed while its group tells it its partitions', async () => {
  const { kafka, topic } = await setUp('platformatic', 1)
  const closing = new AbortController()
  let late = 0
  const listen = (told: unknown) => {
    const { client, operation } = told as { client: { groupId: string; closed: boolean }; operation: string }
    if (client.groupId !== `g-${topic}`) return
    if (operation === 'syncGroup') closing.abort()
    if (operation === 'heartbeat' && client.closed) late += 1
  }
  const channels = ['group', 'heartbeat'].map((name) => `tracing:plt:kafka:consumer:${name}:start`)
  for (const channel of channels) subscribe(channel, listen)
  await consume(kafka, topic, { signal: closing.signal })
  expect(closing.signal.aborted).toBe(true)
  await sleep(3 * membership.heartbeatMs)
  for (const channel of channels) unsubscribe(channel, listen)
  expect(late).toBe(0)
})

describe('a broker that is killed and started again', () => {
  it('costs neither client an acknowledged record, and both go on', async () => {
    const runs = await Promise.all(clients.map((adapter) => stream(adapter)))
    await sleep(500)
    await broker.kill()
    const begunMs = performance.now()
    await Promise.all(runs.map(({ bystander }) => bystander.close()))
    expect(performance.now() - begunMs).toBeLessThan(6_000)
    const givenUp = runs.map(({ kafka, topic }) =>
      consume(kafka, topic, { groupId: `g-given-up-${topic}`, signal: AbortSignal.timeout(200) }),
    )
    await Promise.all(givenUp)
    expect(performance.now() - begunMs).toBeLessThan(10_000)
    const late = runs.map(({ kafka, topic }) => consume(kafka, topic, { groupId: `g-late-${topic}` }))
    await sleep(500)
    await broker.start()

    const restartedMs = performance.now()
    for (const { acknowledged } of runs) {
      const before = acknowledged.length
      await until(() => acknowledged.length > before + 20, 'twenty more are acknowledged')
    }
    for (const [at, { stop, acknowledged, seen }] of runs.entries()) {
      await stop()
      for (const each of [seen, (await late[at])?.seen ?? []]) {
        await until(
          () => acknowledged.every((value) => each.some((record) => record.value.toString() === value)),
          'whatever was acknowledged is read',
        )
      }
    }
    process.stdout.write(
      `all is delivered ${(performance.now() - restartedMs).toFixed(0)} ms after the broker is back\n`,
    )
    expect(problems.some(({ code }) => code === 'UNAVAILABLE')).toBe(true)
  }, 60_000)

  async function stream(adapter: KafkaClient) {
    const { kafka, topic, send } = await setUp(adapter, 2)
    const { seen } = await consume(kafka, topic)
    const { consumer: bystander } = await consume(kafka, topic, { groupId: `g-bystander-${topic}` })
    const acknowledged: string[] = []
    let running = true
    const failed = (error: KafkaError) => {
      if (!error.retriable) throw error
      problems.push(error)
      return false
    }
    const sending = (async () => {
      for (let at = 0; running; at += 1) {
        // What is not acknowledged is sent again, as the outbox does.
        while (running && !(await send(record(topic, `${at % 5}`, `${at}`)).then(() => true, failed))) await sleep(50)
        if (running) acknowledged.push(`${at}`)
        await sleep(5)
      }
    })()
    const stop = async () => {
      running = false
      await sending
    }
    return { kafka, topic, bystander, acknowledged, seen, stop }
  }
})

type Seen = Batch['records'][number] & { readonly partition: number }

/** Both clients at once, while the other tests run: a handler longer than the session timeout. */
const longHandlers = new Map<KafkaClient, Promise<unknown>>()
beforeAll(() => {
  for (const adapter of clients) longHandlers.set(adapter, longHandler(adapter))
})

async function longHandler(adapter: KafkaClient) {
  const { kafka, topic, committed } = await setUp(adapter, 1)
  const own = kafka.producer()
  await own.send([record(topic, 'k')])
  await own.close()
  let attempts = 0
  const finished = Promise.withResolvers<void>()
  const handle = async (_batch: Batch, { signal }: HandleContext) => {
    attempts += 1
    await sleep(12_000, undefined, { signal }).finally(finished.resolve)
  }
  const groupId = `g-${topic}`
  const consumer = await kafka.consume({ groupId, topics: [topic], from: 'earliest', handle })
  untilEnd.push(consumer)
  await finished.promise
  await consumer.close()
  return { attempts, committed: await committed(groupId) }
}

let names = 0

async function setUp(adapter: KafkaClient, numPartitions: number) {
  names += 1
  const topic = `t-${adapter}-${names}`
  // As the mesh makes topics.
  const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]
  await createTopics(admin, { topic, numPartitions, configEntries })
  const kafka = await connectAs('app', adapter)
  const { send } = producer(kafka)
  const committed = async (groupId: string) => {
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    return found?.partitions.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset))
  }
  return { kafka, topic, send: (...records: OutgoingRecord[]) => send(records), committed }
}

function connectAs(name: string, adapter: KafkaClient): Promise<Kafka> {
  return connectWith(adapter, broker.identity(name))
}

function connectWith(adapter: KafkaClient, tls: ReturnType<BrokerFixture['identity']> | undefined): Promise<Kafka> {
  return connect({ adapter, clientId: 'app', brokers: broker.brokers, tls, onError: (error) => problems.push(error) })
}

function producer(kafka: Kafka, options?: { deliveryTimeoutMs: number }): Producer {
  const created = kafka.producer(options)
  open.push(created)
  return created
}

async function consume(kafka: Kafka, topic: string, options: Partial<ConsumeOptions> = {}) {
  const group = options.groupId ?? `g-${topic}`
  const seen: Seen[] = []
  const consumer: Consumer = await kafka.consume({
    ...{ topics: [topic], from: 'earliest', groupId: group },
    ...options,
    async handle(batch, context) {
      await options.handle?.(batch, context)
      seen.push(...batch.records.map((each) => ({ ...each, partition: batch.partition })))
    },
  })
  open.push(consumer)
  return { consumer, group, seen }
}

function record(topic: string, key: string, value = 'x', headers: Record<string, string> = {}): OutgoingRecord {
  return { topic, key, value: Buffer.from(value), headers }
}
