import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Admin, Consumer, type ConsumerOptions, Producer, stringSerializers } from '@platformatic/kafka'
import pg from 'pg'
import { type Channel, Connection } from 'rabbitmq-client'
import { errorCode } from '../error-code.ts'
import { type CertFiles, certFiles, type Endpoint, type Layout } from '../layout.ts'
import { password, passwordFile } from '../secrets.ts'

/** How a client reaches Kafka as somebody. */
export async function kafkaOptions(layout: Layout, files: CertFiles) {
  const { address, port } = layout.kafka
  return {
    clientId: 'test',
    bootstrapBrokers: [`${address}:${port}`],
    tls: { cert: await readFile(files.cert), key: await readFile(files.key), ca: await readFile(files.authority) },
    retries: 0,
    timeout: 5_000,
    connectTimeout: 3_000,
  }
}

/** Really tries it: whether the broker lets an identity write or read a topic, or join a group. Other failures reject. */
export async function kafkaAllows(
  layout: Layout,
  identity: string,
  operation: 'read' | 'write' | 'join',
  name: string,
): Promise<boolean> {
  const options = await kafkaOptions(layout, certFiles(layout.certsDir, identity))
  switch (operation) {
    case 'write':
      return refusedIs(await writeTo(options, name))
    case 'read':
      return refusedIs(await readFrom(options, await topicId(layout, name)))
    case 'join':
      return refusedIs(await join(options, name))
  }
}

/** How many records a topic holds. */
export async function recordCount(layout: Layout, topic: string): Promise<number> {
  const admin = new Admin(await kafkaOptions(layout, certFiles(layout.certsDir, 'kafka')))
  try {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
    const partitions = [...Array(topics.get(topic)?.partitionsCount ?? 0).keys()].map((partitionIndex) => ({
      partitionIndex,
      timestamp: -1n,
    }))
    const [offsets] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
    return Number((offsets?.partitions ?? []).reduce((sum, { offset }) => sum + offset, 0n))
  } finally {
    await admin.close()
  }
}

type KafkaOptions = Awaited<ReturnType<typeof kafkaOptions>>

async function writeTo(options: KafkaOptions, topic: string): Promise<unknown> {
  const producer = new Producer({
    ...options,
    serializers: stringSerializers,
    idempotent: true,
    autocreateTopics: false,
  })
  return outcome(
    () => producer.send({ messages: [{ topic, key: 'k', value: 'v' }], acks: -1 }),
    () => producer.close(),
  )
}

async function readFrom(options: KafkaOptions, id: string): Promise<unknown> {
  const consumer = new Consumer(consumerOptions(options, 'unused'))
  const partition = {
    partition: 0,
    currentLeaderEpoch: -1,
    fetchOffset: 0n,
    lastFetchedEpoch: -1,
    partitionMaxBytes: 1024,
  }
  return outcome(
    () => consumer.fetch({ node: 1, topics: [{ topicId: id, partitions: [partition] }], minBytes: 0, maxWaitTime: 10 }),
    () => consumer.close(true),
  )
}

async function join(options: KafkaOptions, group: string): Promise<unknown> {
  const consumer = new Consumer(consumerOptions(options, group))
  return outcome(
    () => consumer.joinGroup({}),
    () => consumer.close(true),
  )
}

function consumerOptions(options: KafkaOptions, groupId: string): ConsumerOptions<string, string, string, string> {
  return { ...options, groupId, autocommit: false, sessionTimeout: 10_000, rebalanceTimeout: 10_000 }
}

async function topicId(layout: Layout, topic: string): Promise<string> {
  const admin = new Admin(await kafkaOptions(layout, certFiles(layout.certsDir, 'kafka')))
  try {
    return (await admin.metadata({ topics: [topic] })).topics.get(topic)?.id ?? ''
  } finally {
    await admin.close()
  }
}

/** The error of an attempt; undefined where it went well. */
async function outcome(attempt: () => Promise<unknown>, close: () => Promise<unknown>): Promise<unknown> {
  try {
    await attempt()
    return undefined
  } catch (error) {
    return error
  } finally {
    await close()
  }
}

function refusedIs(error: unknown): boolean {
  if (error === undefined) return true
  if (codesOf(error).some((code) => code.endsWith('_AUTHORIZATION_FAILED'))) return false
  throw error
}

/** The codes in a tree of errors. */
function codesOf(error: unknown): string[] {
  if (typeof error !== 'object' || error === null) return []
  const { apiId, errors, cause } = error as { apiId?: string; errors?: unknown[]; cause?: unknown }
  return [...(apiId ? [apiId] : []), ...(errors ?? []).flatMap(codesOf), ...codesOf(cause)]
}

/** A connection to RabbitMQ as a user with its password, which trusts the run's authority. */
export async function rabbitmqAs(layout: Layout, vhost: string, username: string): Promise<Connection> {
  const { address, port } = layout.rabbitmq
  const connection = new Connection({
    hostname: address,
    port,
    vhost,
    username,
    password: await readFile(passwordFile(layout, 'rabbitmq', username), 'utf8'),
    tls: { ca: await readFile(certFiles(layout.certsDir, 'rabbitmq').authority), servername: address },
    retryLow: 50,
    retryHigh: 100,
    acquireTimeout: 5_000,
  })
  connection.on('error', () => undefined)
  return connection
}

/** Really tries it on a channel of its own: true where it went well, false where access was refused. */
export async function channelAllows(
  connection: Connection,
  attempt: (channel: Channel) => Promise<unknown>,
): Promise<boolean> {
  const channel = await connection.acquire()
  channel.on('error', () => undefined)
  try {
    await attempt(channel)
    return true
  } catch (error) {
    if (errorCode(error) === 'ACCESS_REFUSED') return false
    throw error
  } finally {
    await channel.close()
  }
}

/** Whether Postgres lets a role into a database with the role's own password. */
export async function postgresAllows(layout: Layout, role: string, database: string): Promise<boolean> {
  try {
    await withPostgres(layout, role, database, (client) => client.query('SELECT 1'))
    return true
  } catch (error) {
    // 28000: no line for the two in pg_hba.conf; 42501: no CONNECT.
    if (['28000', '42501'].includes(errorCode(error) ?? '')) return false
    throw error
  }
}

/** Runs something on a connection of a role. */
export async function withPostgres<T>(
  layout: Layout,
  role: string,
  database: string,
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const { socketDir, port } = layout.postgres
  const client = new pg.Client({
    ...{ host: socketDir, port, user: role, database },
    password: await password(layout, 'postgres', role),
  })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/**
 * What a server answers to a greeting, empty where it answers nothing: `how` null is plain text, otherwise TLS that trusts
 * one identity's authority and shows another identity.
 */
export async function answerTo(
  { address, port }: Endpoint,
  greeting: Buffer,
  how: { readonly trust: CertFiles; readonly show?: CertFiles } | null,
): Promise<string> {
  const at = { host: address, port }
  const ca = how && (await readFile(how.trust.authority))
  const shown = how?.show ? { cert: await readFile(how.show.cert), key: await readFile(how.show.key) } : {}
  return new Promise((resolve) => {
    const say = (): boolean => socket.write(greeting)
    const socket = ca ? connectTls({ ...at, ca, ...shown }, say) : connect(at, say)
    let answer = ''
    socket.setTimeout(3_000, () => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString('latin1')
      socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })
}
