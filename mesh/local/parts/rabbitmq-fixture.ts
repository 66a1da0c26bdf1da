import { setTimeout as sleep } from 'node:timers/promises'
import type { Channel, Connection, SyncMessage } from 'rabbitmq-client'
import type { Layout } from '../layout.ts'
import { rabbitmqAs } from './access-fixture.ts'

/** Runs something on a connection of a user. */
export async function withRabbitmq<T>(
  layout: Layout,
  vhost: string,
  user: string,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await rabbitmqAs(layout, vhost, user)
  try {
    return await use(connection)
  } finally {
    await connection.close()
  }
}

/** Runs something on a channel of its own. */
export async function withChannel<T>(connection: Connection, use: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await connection.acquire()
  try {
    return await use(channel)
  } finally {
    await channel.close()
  }
}

/** Puts a text into an exchange and waits until the broker has stored it. */
export async function put(channel: Channel, exchange: string, routingKey = exchange, body = 'x'): Promise<void> {
  await channel.confirmSelect()
  await channel.basicPublish({ exchange, routingKey, durable: true }, body)
}

/** The next message of a queue, which may take a moment to come. */
export async function get(channel: Channel, queue: string): Promise<SyncMessage> {
  for (let tries = 0; tries < 100; tries++) {
    const message = await channel.basicGet({ queue })
    if (message) return message
    await sleep(30)
  }
  throw new Error(`The queue ${queue} stayed empty for three seconds.`)
}

/** Takes everything out of a queue. */
export async function drain(connection: Connection, queue: string): Promise<void> {
  await withChannel(connection, async (channel) => {
    while (await channel.basicGet({ queue, noAck: true }));
  })
}

/** Does what an asker does: a queue of its own, bound to the exchange of answers by its own name. */
export async function bindReplies(channel: Channel, user: string, exchange: string): Promise<string> {
  const queue = `${user}.reply.${Math.random().toString(36).slice(2)}`
  await channel.queueDeclare({ queue, exclusive: true })
  await channel.queueBind({ queue, exchange, routingKey: queue })
  return queue
}
