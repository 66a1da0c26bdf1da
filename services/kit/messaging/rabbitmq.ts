import { readFileSync } from 'node:fs'
import { Connection, type Publisher, type ReturnedMessage } from 'rabbitmq-client'
import type { Closable } from '../app/admin.ts'
import type { RabbitmqConfiguration } from '../app/configuration.ts'
import { pause } from '../app/pause.ts'
import { abortable, startTimer } from '../deadline.ts'
import type { Log } from '../telemetry/log.ts'
import { protobufType } from './envelope.ts'

/** RabbitMQ's header and property names that matter here. */
export type TaskEnvelope = {
  readonly exchange: string
  readonly routingKey: string
  readonly messageId: string
  readonly headers: Readonly<Record<string, unknown>>
  /** How long it waits in a queue at most, such as the one for retries. */
  readonly expirationMs?: number
  /** The queue in which the answer is awaited. */
  readonly replyTo?: string
  /** The id of the question that this answers. */
  readonly correlationId?: string
}

const reconnect = { retryLow: 100, retryHigh: 2_000 } as const
/** A confirmation that does not come in this time counts as a failure; the outcome is unknown. */
const confirmTimeoutMs = 10_000
/** A broker has this long to say goodbye; then nobody waits for it. */
const goodbyeMsMax = 2_000

/** Connects over TLS, and again whenever the connection is lost. Declares nothing: all is there, or it is an error. */
export function connectRabbitmq(configuration: RabbitmqConfiguration, name: string, log: Log): Connection {
  const { host, port, virtualHost, username, passwordFile, tls } = configuration
  const connection = new Connection({
    hostname: host,
    port,
    vhost: virtualHost,
    username: typeof username === 'string' ? username : readFileSync(username.file, 'utf8').trim(),
    password: readFileSync(passwordFile, 'utf8').trim(),
    connectionName: name,
    heartbeat: 10,
    noDelay: true,
    ...reconnect,
    tls: {
      // Read at each connection, so that a changed authority needs no restart.
      get ca() {
        return readFileSync(tls.authorityFile)
      },
    },
  })
  connection.on('error', (error) => log.warn('The connection to RabbitMQ was lost; it is opened again.', { error }))
  connection.on('connection.blocked', (reason) => log.warn('RabbitMQ takes no messages for now.', { reason }))
  return connection
}

/**
 * Gives a connection up at once where the broker is away, or takes nothing: whatever waits for it fails then, where it would
 * wait for seconds. For the beginning of a closing, before what uses the connection is closed.
 */
export function giveUpWhereAway(connection: Connection): void {
  if (!connection.ready) connection.unsafeDestroy()
}

/** Closes a connection; whatever the broker does, nothing of it is left. What uses it is closed before, well or not. */
export async function closeRabbitmq(connection: Connection): Promise<void> {
  const limit = new AbortController()
  await Promise.race([connection.close(), pause(goodbyeMsMax, limit.signal)])
  limit.abort()
  // The client waits for a broker's goodbye without end, and not at all for that of one that has begun to close.
  connection.unsafeDestroy()
}

/**
 * Closes a consumer, and waits for its messages in hand. The client stops short of that where the connection is lost while
 * it takes leave; by then it has forgotten of whom, so that it closes the rest when it is told again.
 */
export async function closeConsumer(consumer: Closable): Promise<void> {
  await consumer.close().catch(() => consumer.close())
}

/** Closes a publisher. One that is still opening a channel, on a connection that is lost, has none to close. */
export async function closePublisher(publisher: Closable, log: Log): Promise<void> {
  await publisher
    .close()
    .catch((error: unknown) => log.debug('A channel of RabbitMQ was gone before it was closed.', { error }))
}

const returned = new WeakMap<Publisher, Set<string>>()

/** A channel that waits for the broker's confirmation of each message. */
export function confirmingPublisher(connection: Connection): Publisher {
  const publisher = connection.createPublisher({ confirm: true })
  const ids = new Set<string>()
  returned.set(publisher, ids)
  publisher.on('basic.return', (message: ReturnedMessage) => ids.add(message.messageId ?? ''))
  return publisher
}

/**
 * Resolves when the broker has stored the message in a queue. Rejects when it refused it, no queue is bound, the connection was
 * lost, or nothing was heard in time; in the last two cases it may have been stored.
 */
export async function publishConfirmed(publisher: Publisher, task: TaskEnvelope, body: Buffer): Promise<void> {
  const { exchange, routingKey, messageId, headers, expirationMs, replyTo, correlationId } = task
  const timer = startTimer(confirmTimeoutMs)
  const properties = {
    exchange,
    routingKey,
    messageId,
    headers: { ...headers },
    contentType: protobufType,
    durable: true,
    mandatory: true,
    ...(replyTo !== undefined && { replyTo }),
    ...(correlationId !== undefined && { correlationId }),
    ...(expirationMs !== undefined && { expiration: String(Math.ceil(expirationMs)) }),
  }
  try {
    await abortable(timer.signal, publisher.send(properties, body))
  } finally {
    timer.clear()
  }
  // A message without a queue is returned first and confirmed after.
  if (returned.get(publisher)?.delete(messageId)) {
    throw new Unroutable(exchange, routingKey)
  }
}

/** No queue takes what was published. */
export class Unroutable extends Error {
  override readonly name = 'Unroutable'

  constructor(exchange: string, routingKey: string) {
    super(`RabbitMQ has no queue bound to the exchange ${exchange} for ${routingKey}: provision it first.`)
  }
}
