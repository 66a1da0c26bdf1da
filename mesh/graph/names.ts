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

/** The queue in which a task waits for its next attempt. */
export function retryQueue(queue: string): string {
  return `${queue}.retry`
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
