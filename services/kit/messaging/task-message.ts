import { createHash } from 'node:crypto'
import type { AsyncMessage } from 'rabbitmq-client'
import { amqpIdBytesMax } from './envelope.ts'
import { replyToHeader } from './question.ts'

/** What a task is for, where its sender may ask for the same again under another id. */
export const workHeader = 'parley-work'

/** The headers that are text, with the content type and who wants an answer among them. The broker's own notes are left out. */
export function textHeaders({ headers = {}, contentType, replyTo }: AsyncMessage): Record<string, string> {
  const entries = Object.entries(headers as Record<string, unknown>).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && !entry[0].startsWith('x-'),
  )
  return {
    ...Object.fromEntries(entries),
    ...(contentType !== undefined && { 'content-type': contentType }),
    ...(replyTo !== undefined && { [replyToHeader]: replyTo }),
  }
}

/** The bytes of a task: the client has parsed what said to be JSON or text. */
export function bodyOf({ body }: AsyncMessage): Buffer {
  if (Buffer.isBuffer(body)) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body ?? null))
}

/**
 * What a task is known by where it dies: what it is for, where its sender said so, or else its id, as in the inbox. What has none, or
 * one that AMQP would cut off, is known by its contents.
 */
export function taskId(task: AsyncMessage, headers: Readonly<Record<string, string>>): string {
  const ids = [headers[workHeader], headers['cloudEvents:id'], task.messageId]
  const id = ids.find((given) => given && Buffer.byteLength(given) <= amqpIdBytesMax)
  if (id !== undefined) return id
  const digest = createHash('sha256').update(JSON.stringify(headers)).update(bodyOf(task)).digest('hex')
  return `content-${digest.slice(0, 32)}`
}
