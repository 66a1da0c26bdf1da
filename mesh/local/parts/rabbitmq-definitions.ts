import { createHash } from 'node:crypto'
import { deadLetterQueue, replyExchange, replyQueuePrefix } from '#graph/names.ts'
import { retriesOf } from '#plan/messaging.ts'
import type { Plan, PlannedQueue } from '#plan/plan.ts'
import { administrator } from '../secrets.ts'

/**
 * The topology of a queue `emails`, the same on a cluster:
 *
 *     sender ──► exchange emails ──► queue emails ──► worker
 *                       ▲                │ rejected, or delivered too often
 *                       │                ▼
 *                       │            exchange emails.dead-letter ──► queue emails.dead-letter
 *                       │ expired
 *     worker ──► exchange emails.retry-1 ──► queue emails.retry-1      (as many as there are waits; the last: emails.retry)
 *
 * Each queue has an exchange of its own name, so that "may write this exchange" means "may send to this queue". Nobody
 * may write the default exchange, which reaches every queue. A worker puts a task that failed into the retry exchange
 * of its wait and then acknowledges it; one that is beyond help into the dead-letter exchange, with its reason. What kills its worker
 * comes back by itself, and the broker counts: past the delivery limit it becomes a dead letter too.
 *
 * Where a queue has replies: the asker declares an exclusive queue `<asker>.reply.<id>`, binds it to the exchange
 * `emails.reply` by its own name, and gives that name as `reply_to`; the worker writes the answer to `emails.reply`.
 */
export type Definitions = {
  readonly vhosts: readonly { readonly name: string }[]
  readonly users: readonly {
    readonly name: string
    readonly password_hash: string
    readonly hashing_algorithm: 'rabbit_password_hashing_sha256'
    readonly tags: readonly string[]
  }[]
  readonly permissions: readonly (Permission & { readonly vhost: string })[]
  readonly policies: readonly Policy[]
  readonly exchanges: readonly Declared<{ readonly type: 'fanout' | 'direct'; readonly internal: false }>[]
  readonly queues: readonly Declared<object>[]
  readonly bindings: readonly {
    readonly source: string
    readonly vhost: string
    readonly destination: string
    readonly destination_type: 'queue'
    readonly routing_key: string
    readonly arguments: object
  }[]
}

/** What a user may do, as regular expressions over the names of queues and exchanges. */
export type Permission = {
  readonly user: string
  readonly configure: string
  readonly write: string
  readonly read: string
}

type Declared<More> = More & {
  readonly name: string
  readonly vhost: string
  readonly durable: true
  readonly auto_delete: false
  readonly arguments: Readonly<Record<string, string>>
}

type Policy = {
  readonly vhost: string
  readonly name: string
  readonly pattern: string
  readonly 'apply-to': 'queues'
  readonly priority: number
  readonly definition: Readonly<Record<string, string | number>>
}

/** Everything that must be in the broker, in its own format. Passwords by user go in, only their hashes come out. */
export function definitionsOf(plan: Plan, passwords: Readonly<Record<string, string>>): Definitions {
  const vhost = plan.system
  const common = { vhost, durable: true, auto_delete: false } as const
  const queues = plan.queues.flatMap(queuesOf)
  const answering = plan.queues.filter(({ replies }) => replies !== null).map(({ name }) => replyExchange(name))
  const exchange = (name: string, type: 'fanout' | 'direct') =>
    ({ ...common, name, type, internal: false, arguments: {} }) as const
  return {
    vhosts: [{ name: vhost }],
    users: Object.entries(passwords).map(([name, password]) => ({
      name,
      password_hash: passwordHash(name, password),
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      tags: name === administrator ? ['administrator'] : [],
    })),
    permissions: [
      { user: administrator, configure: '.*', write: '.*', read: '.*', vhost },
      ...permissionsOf(plan).map((permission) => ({ ...permission, vhost })),
    ],
    policies: queues.map(({ name, policy }) => ({
      ...{ vhost, name, pattern: exactly([escaped(name)]), 'apply-to': 'queues', priority: 1 },
      definition: policy,
    })),
    exchanges: [
      ...queues.map(({ name }) => exchange(name, 'fanout')),
      ...answering.map((name) => exchange(name, 'direct')),
    ],
    // All else is in policies: arguments of a queue can never be changed, a policy can.
    queues: queues.map(({ name }) => ({ ...common, name, arguments: { 'x-queue-type': 'quorum' } })),
    bindings: queues.map(({ name }) => ({
      ...{ source: name, vhost, destination: name, destination_type: 'queue', routing_key: name, arguments: {} },
    })),
  }
}

/** The permissions of each service with a grant, exactly as wide as its grants. */
export function permissionsOf(plan: Plan): readonly Permission[] {
  const services = [...new Set(plan.grants.queues.map(({ service }) => service))]
  return services.map((user) => {
    const grants = plan.grants.queues.filter(({ service }) => service === user)
    const reach = grants.map(({ queue, operation }) => reachOf(user, queue, operation, plan))
    const all = (kind: 'configure' | 'write' | 'read') => exactly([...new Set(reach.flatMap((one) => one[kind]))])
    return { user, configure: all('configure'), write: all('write'), read: all('read') }
  })
}

type Reach = { readonly configure: string[]; readonly write: string[]; readonly read: string[] }

function reachOf(service: string, name: string, operation: 'send' | 'work' | 'ask', plan: Plan): Reach {
  const replies = `${escaped(replyQueuePrefix(service))}.*`
  const queue = plan.queues.find((one) => one.name === name)
  switch (operation) {
    case 'send':
      return { configure: [], write: [escaped(name)], read: [] }
    case 'work': {
      const dead = queue?.deadLetterQueue ? [escaped(queue.deadLetterQueue)] : []
      const answers = queue?.replies ? [escaped(replyExchange(name))] : []
      const retries = queue ? retriesOf(queue).map((retry) => escaped(retry.name)) : []
      // It fetches its own dead letters into its database; what failed waits in the retry queues.
      return { configure: [], write: [...retries, ...dead, ...answers], read: [escaped(name), ...dead] }
    }
    case 'ask':
      // To bind a queue is to write the queue and to read the exchange.
      return { configure: [replies], write: [escaped(name), replies], read: [escaped(replyExchange(name)), replies] }
  }
}

/**
 * RabbitMQ 4 drops what was delivered more than 20 times, as after restarts of a worker whose database is away. A dead letter
 * has nowhere else to go.
 */
const deadDeliveriesMax = 1_000_000

function queuesOf(queue: PlannedQueue): { name: string; policy: Record<string, string | number> }[] {
  const { name, deadLetterQueue: dead, lengthMax, deliveryLimit } = queue
  const bounded = { 'max-length': lengthMax, overflow: 'reject-publish' }
  // The broker keeps a message until its dead letter is stored; only with `reject-publish` can it.
  const deadTo = (exchange: string) => ({
    'dead-letter-exchange': exchange,
    'dead-letter-strategy': 'at-least-once',
  })
  return [
    // The limit counts redeliveries; the plan counts deliveries.
    { name, policy: { ...bounded, 'delivery-limit': deliveryLimit - 1, ...(dead ? deadTo(dead) : {}) } },
    // A task's own expiration, which the worker draws, is at most this.
    ...retriesOf(queue).map((retry) => ({
      name: retry.name,
      policy: { ...bounded, 'message-ttl': retry.waitMs, ...deadTo(name) },
    })),
    ...(dead ? [{ name: deadLetterQueue(name), policy: { ...bounded, 'delivery-limit': deadDeliveriesMax } }] : []),
  ]
}

/** A pattern for just these; for nothing where there are none. RabbitMQ searches with it, so it needs both ends. */
function exactly(patterns: readonly string[]): string {
  return patterns.length === 0 ? '^$' : `^(${patterns.join('|')})$`
}

function escaped(name: string): string {
  return name.replaceAll('.', '\\.')
}

/** RabbitMQ's salted hash. The salt follows from the password, so that importing twice changes nothing. */
function passwordHash(user: string, password: string): string {
  const salt = createHash('sha256').update(`salt ${user} ${password}`).digest().subarray(0, 4)
  const hash = createHash('sha256').update(salt).update(password, 'utf8').digest()
  return Buffer.concat([salt, hash]).toString('base64')
}
