/**
 * The plan as each service sees it: everything that what is rendered for one service may depend on, and nothing else.
 * So a change of one edge changes the slices of its two ends, and only they need to be rendered again.
 */
import type { Alert } from './alerts.ts'
import type {
  Egress,
  Link,
  Plan,
  PlannedExposure,
  PlannedExternal,
  PlannedQueue,
  PlannedService,
  PlannedStore,
  PlannedTopic,
  PlannedWebhook,
  Subscription,
} from './plan.ts'

/** One service with all that concerns it. Lists keep the plan's order. */
export type ServiceSlice = {
  readonly service: PlannedService
  /** What it calls. */
  readonly calls: readonly Link[]
  /** Who calls it. */
  readonly calledBy: readonly Link[]
  readonly egress: readonly { readonly egress: Egress; readonly external: PlannedExternal }[]
  readonly exposures: readonly PlannedExposure[]
  /** What it writes, its own dead letters included. */
  readonly topics: readonly PlannedTopic[]
  readonly subscriptions: readonly Subscription[]
  /** The topics of its subscriptions, in their order. */
  readonly subscribed: readonly PlannedTopic[]
  readonly works: readonly PlannedQueue[]
  readonly sends: readonly PlannedQueue[]
  readonly asks: readonly PlannedQueue[]
  readonly stores: readonly PlannedStore[]
  readonly webhooks: readonly PlannedWebhook[]
  /** What it answers for; a breaker's alert is the caller's. */
  readonly alerts: readonly Alert[]
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] }

/** Cuts a plan into the slices of its services, by name and in the plan's order. One pass: linear in services and edges. */
export function slicesOf(plan: Plan): ReadonlyMap<string, ServiceSlice> {
  const slices = new Map<string, Mutable<ServiceSlice>>(plan.services.map((service) => [service.name, empty(service)]))
  const externals = new Map(plan.externals.map((external) => [external.name, external]))
  for (const link of plan.links) {
    slices.get(link.from)?.calls.push(link)
    slices.get(link.to)?.calledBy.push(link)
  }
  for (const egress of plan.egress) {
    const external = externals.get(egress.external)
    if (external) slices.get(egress.from)?.egress.push({ egress, external })
  }
  for (const exposure of plan.exposures) slices.get(exposure.service)?.exposures.push(exposure)
  for (const topic of plan.topics) slices.get(topic.owner)?.topics.push(topic)
  const topics = new Map(plan.topics.map((topic) => [topic.name, topic]))
  for (const subscription of plan.subscriptions) {
    const topic = topics.get(subscription.topic)
    slices.get(subscription.service)?.subscriptions.push(subscription)
    if (topic) slices.get(subscription.service)?.subscribed.push(topic)
  }
  for (const queue of plan.queues) {
    slices.get(queue.worker)?.works.push(queue)
    for (const sender of queue.senders) slices.get(sender)?.sends.push(queue)
    for (const { service } of queue.askers) slices.get(service)?.asks.push(queue)
  }
  for (const store of plan.stores) slices.get(store.owner)?.stores.push(store)
  for (const webhook of plan.webhooks) slices.get(webhook.service)?.webhooks.push(webhook)
  for (const alert of plan.alerts)
    slices.get(alert.kind === 'breaker-open' ? alert.from : alert.service)?.alerts.push(alert)
  return slices
}

/** Whether a service needs Kafka. */
export function usesTopics({ topics, subscriptions }: ServiceSlice): boolean {
  return topics.length > 0 || subscriptions.length > 0
}

/** Whether a service needs RabbitMQ. */
export function usesQueues({ works, sends, asks }: ServiceSlice): boolean {
  return works.length > 0 || sends.length > 0 || asks.length > 0
}

function empty(service: PlannedService): Mutable<ServiceSlice> {
  return {
    service,
    calls: [],
    calledBy: [],
    egress: [],
    exposures: [],
    topics: [],
    subscriptions: [],
    subscribed: [],
    works: [],
    sends: [],
    asks: [],
    stores: [],
    webhooks: [],
    alerts: [],
  }
}
