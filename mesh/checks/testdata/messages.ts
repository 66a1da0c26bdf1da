import type { QueueNode } from '#graph/queue.ts'
import { asks, queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { type ConsumePolicy, consumes, type TopicNode, topic } from '#graph/topic.ts'
import {
  breaking,
  type Case,
  confirmed,
  email,
  emails,
  orderEvents,
  orders,
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

/** Cases of the rules PLY201 to PLY209. */
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
]
