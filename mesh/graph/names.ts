import type { Redelivery } from './policy.ts'

/** The names that follow from a declaration. The plan and the kit use the same functions, so they cannot disagree. */

/** The topic to which a group of consumers puts what it could not handle. */
export function deadLetterTopic(topic: string, group: string): string {
  return `${topic}.${group}.dead-letter`
}

/** The group of consumers by which a replayable one rebuilds its state, beside the group that goes on meanwhile. */
export function replayGroup(group: string): string {
  return `${group}.replay`
}

/** The queue to which a worker's tasks go whose deliveries are used up. */
export function deadLetterQueue(queue: string): string {
  return `${queue}.dead-letter`
}

/** A queue in which tasks wait for their next attempt, each at most `waitMs`. */
export type RetryQueue = { readonly name: string; readonly waitMs: number }

/**
 * The queue in which a task waits that has failed `attempt` times. Each wait has a queue of its own, as RabbitMQ looks at the
 * head of a queue alone: in one queue for all, a short wait would last as long as the longest before it. The last, in which
 * tasks wait however often they fail, has the same name whatever the figures are, so that one is always there.
 */
export function retryQueue(queue: string, redelivery: Required<Redelivery>, attempt: number): RetryQueue {
  const { baseMs, maxMs } = redelivery.backoff
  const step = Math.min(attempt, retrySteps(redelivery))
  const name = step < retrySteps(redelivery) ? `${queue}.retry-${step}` : `${queue}.retry`
  return { name, waitMs: Math.min(maxMs, baseMs * 2 ** (step - 1)) }
}

/** All retry queues of a queue, the shortest wait first: one for each doubling up to the ceiling that the attempts can reach. */
export function retryQueues(queue: string, redelivery: Required<Redelivery>): readonly RetryQueue[] {
  return Array.from({ length: retrySteps(redelivery) }, (_, index) => retryQueue(queue, redelivery, index + 1))
}

function retrySteps({ attempts, backoff: { baseMs, maxMs } }: Required<Redelivery>): number {
  return Math.max(1, Math.min(attempts - 1, 1 + Math.ceil(Math.log2(maxMs / baseMs))))
}

/** The exclusive queue on which an asking replica gets its answers begins with this; permissions are given by it. */
export function replyQueuePrefix(service: string): string {
  return `${service}.reply.`
}

/**
 * The exchange on which the answers of an asked queue travel: an asker binds its reply queue to it, by the queue's own
 * name. The worker may write here and nowhere else, so that answering gives it no way into other queues.
 */
export function replyExchange(queue: string): string {
  return `${queue}.reply`
}

/** The environment variable that tells a service where calls to a callee go. */
export function callVariable(callee: string): string {
  return `PARLEY_CALL_${shout(callee)}`
}

/** The environment variable that tells a service where an external is reached. */
export function reachVariable(external: string): string {
  return `PARLEY_REACH_${shout(external)}`
}

function shout(name: string): string {
  return name.toUpperCase().replaceAll('-', '_')
}
