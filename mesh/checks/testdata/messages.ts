import { calls } from '#graph/call.ts'
import { reaches } from '#graph/external.ts'
import type { Redelivery } from '#graph/policy.ts'
import type { QueueNode } from '#graph/queue.ts'
import { asks, queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { type ConsumePolicy, consumes, type TopicNode, topic } from '#graph/topic.ts'
import {
  answering,
  api,
  breaking,
  type Case,
  confirmed,
  email,
  emails,
  orderEvents,
  orders,
  outside,
  placed,
  reserved,
  stockEvents,
  tiny,
} from './systems.ts'

const lossy = queue('emails', { carries: [email], deadLetter: false })
const quotes = queue('quotes', { carries: [email], replies: email })

function consuming(policy: ConsumePolicy) {
  return tiny([orders, service('mailer', { edges: [consumes(orderEvents, [placed], policy)] })])
}

function publishing(node: TopicNode) {
  return tiny([service('orders', { publishes: [node] })])
}

function queued(node: QueueNode, workers: readonly string[], sender = 'shop') {
  return tiny([
    ...workers.map((name) => service(name, { edges: [works(node)] })),
    ...(sender ? [service(sender, { edges: [sends(node)] })] : []),
  ])
}

/** A consumer whose handler reaches a bank. */
function paying(redelivery: Redelivery, openMs: number) {
  const breaker = { failures: 5, openMs }
  return tiny([
    orders,
    service('payer', {
      edges: [consumes(orderEvents, [placed], { redelivery }), reaches(outside('bank', 100), { breaker })],
    }),
  ])
}

/** A worker that calls; with its default breaker of 30 s. */
function asking(fallback: boolean) {
  return tiny([
    answering('prices'),
    service('mailer', { edges: [works(emails), calls(api('prices'), ['read'], { fallback })] }),
    service('shop', { edges: [sends(emails)] }),
  ])
}

/** A service that consumes, and reaches an external from a patient queue of its own, or of another service. */
function handingOn(sender: 'mailer' | 'shop') {
  const patient = queue('emails', { carries: [email], redelivery: { attempts: 18 } })
  const hands = sender === 'mailer' ? [sends(patient)] : []
  return tiny([
    orders,
    service('mailer', {
      edges: [consumes(orderEvents, [placed]), ...hands, works(patient), reaches(outside('mail', 100))],
    }),
    ...(sender === 'shop' ? [service('shop', { edges: [sends(patient)] })] : []),
  ])
}

/** Cases of the rules PLY201 to PLY210. */
export const messageCases: readonly Case[] = [
  breaking('PLY201', 'a consumer that forgets what it has seen', {
    breaks: consuming({ idempotent: false }),
    holds: consuming({ idempotent: true }),
    says: ['mailer ← topic orders', 'idempotent: false'],
  }),
  breaking('PLY202', 'events that are dropped', {
    breaks: consuming({ deadLetter: false, redelivery: { attempts: 7 } }),
    holds: consuming({ deadLetter: true }),
    says: ['mailer ← topic orders', 'after 7 attempts'],
  }),
  breaking('PLY202', 'tasks that are dropped', {
    breaks: queued(lossy, ['mailer']),
    holds: queued(emails, ['mailer']),
    says: ['mailer ← queue emails', 'after 5 attempts', "queue('emails', …)"],
  }),
  breaking('PLY203', 'a topic that nobody publishes', {
    breaks: tiny([service('mailer', { edges: [consumes(orderEvents, [placed])] })]),
    holds: consuming({}),
    says: ['topic orders → mailer', 'mailer waits', 'publishes'],
  }),
  breaking('PLY203', 'a topic that two publish', {
    breaks: tiny([orders, service('shop', { publishes: [orderEvents] })]),
    holds: tiny([orders, service('shop', { publishes: [stockEvents] })]),
    says: ['orders and shop', 'Keep orders in `publishes` of orders'],
  }),
  breaking('PLY204', 'an event that its topic does not carry', {
    breaks: tiny([orders, service('mailer', { edges: [consumes(orderEvents as TopicNode, [reserved])] })]),
    holds: consuming({}),
    says: ['StockReserved', '`carries`'],
  }),
  breaking('PLY204', 'no event at all', {
    breaks: tiny([orders, service('mailer', { edges: [consumes(orderEvents, [])] })]),
    holds: consuming({}),
    says: ['names none', 'parley.orders.v1.OrderPlaced'],
  }),
  breaking('PLY204', 'a topic that carries nothing', {
    breaks: publishing(topic('orders', { carries: [], key: null, partitions: 1 })),
    holds: publishing(topic('orders', { carries: [placed], key: null, partitions: 1 })),
    says: ['carries no event'],
  }),
  breaking('PLY205', 'no key on the partitions that production gives', {
    breaks: publishing(topic('orders', { carries: [placed, confirmed], key: null })),
    holds: publishing(topic('orders', { carries: [placed, confirmed], key: 'customerId' })),
    says: ['no key and 6 partitions', '1 of 6', "such as 'orderId'"],
  }),
  breaking('PLY205', 'no key on two partitions', {
    breaks: publishing(topic('orders', { carries: [placed], key: null, partitions: 2 })),
    holds: publishing(topic('orders', { carries: [placed], key: null, partitions: 1 })),
    says: ['partitions: 1'],
  }),
  breaking('PLY205', 'a key that an event lacks', {
    breaks: publishing({ ...topic('stock', { carries: [placed, reserved], key: 'orderId' }), key: 'items' }),
    holds: publishing(topic('stock', { carries: [placed, reserved], key: 'orderId' })),
    says: ['no field of StockReserved'],
  }),
  breaking('PLY206', 'two services in one group', {
    breaks: tiny([
      orders,
      service('mailer', { edges: [consumes(orderEvents, [placed])] }),
      service('printer', { edges: [consumes(orderEvents, [placed], { group: 'mailer' })] }),
    ]),
    holds: tiny([
      orders,
      service('mailer', {
        edges: [consumes(orderEvents, [placed]), consumes(orderEvents, [confirmed], { group: 'mailer-again' })],
      }),
      service('printer', { edges: [consumes(orderEvents, [placed])] }),
    ]),
    says: ['group mailer ← mailer ← printer', 'one of 2 services', 'of printer'],
  }),
  breaking('PLY207', 'a queue with two workers', {
    breaks: queued(emails, ['mailer', 'printer']),
    holds: queued(emails, ['mailer']),
    says: ['mailer and printer', 'topic'],
  }),
  breaking('PLY207', 'a queue with none', {
    breaks: queued(emails, []),
    holds: queued(emails, ['mailer']),
    says: ['queue emails ← shop', 'nobody works', 'works(emails)'],
  }),
  breaking('PLY208', 'a queue into which nobody puts', {
    breaks: queued(emails, ['mailer'], ''),
    holds: queued(emails, ['mailer'], 'mailer-too'),
    says: ['queue emails → mailer', 'sends(emails)'],
  }),
  breaking('PLY209', 'a question without an answer', {
    breaks: tiny([
      service('mailer', { edges: [works(emails)] }),
      service('shop', { edges: [{ kind: 'asks', queue: emails, policy: { deadlineMs: 2_000 } }] }),
    ]),
    holds: tiny([
      service('mailer', { edges: [works(quotes)] }),
      service('shop', { edges: [asks(quotes, { deadlineMs: 2_000 })] }),
    ]),
    says: ['shop → queue emails', '2,000 ms', '`replies`'],
  }),
  breaking('PLY210', 'attempts that end while the breaker is open', {
    breaks: paying({ attempts: 12 }, 15_651),
    holds: paying({ attempts: 12 }, 15_650),
    says: [
      'payer ← topic orders → external bank',
      '12 attempts',
      'after 15,650 ms on average',
      'bank is open for 15,651 ms',
      'becomes a dead letter',
      '`consumes(orders, …)` to at least 13, or `breaker.openMs` to at most 15,650',
    ],
  }),
  breaking('PLY210', 'one attempt', {
    breaks: paying({ attempts: 1 }, 5_000),
    holds: paying({ attempts: 8 }, 5_000),
    says: [/The 1 attempt at .* is used up after 0 ms/, /at least 8\. Or declare `fallback: true`/],
  }),
  breaking('PLY210', 'waits too short for any number of attempts', {
    breaks: paying({ backoff: { baseMs: 1, maxMs: 2 } }, 5_000),
    holds: paying({ attempts: 8, backoff: { baseMs: 100, maxMs: 5_000 } }, 5_000),
    says: ['{ attempts: 8, backoff: { baseMs: 100, maxMs: 5_000 } }'],
  }),
  breaking('PLY210', 'a worker that calls', {
    breaks: asking(false),
    holds: asking(true),
    says: ['mailer ← queue emails → prices', "`queue('emails', …)` to at least 18"],
  }),
  breaking('PLY210', 'a consumer that does not hand on', {
    breaks: handingOn('shop'),
    holds: handingOn('mailer'),
    says: ['mailer ← topic orders → external mail'],
  }),
]
