/** What differs between two plans of one system, in words for a review: what changed, and whom it breaks. */
import { compareText } from './freeze.ts'
import { retriesOf } from './messaging.ts'
import type { LinkRoute, Plan, PlannedExposure, PlannedQueue, PlannedTopic } from './plan.ts'

/** One difference. `breaks` says whom it breaks and how, null where nobody is. */
export type Change = {
  readonly kind: 'added' | 'removed' | 'changed'
  readonly what:
    | 'service'
    | 'call'
    | 'topic'
    | 'subscription'
    | 'queue'
    | 'question'
    | 'store'
    | 'egress'
    | 'exposure'
    | 'saga'
  readonly subject: string
  /** For `changed`: each field with its two values. */
  readonly fields: readonly { readonly field: string; readonly from: string; readonly to: string }[]
  readonly breaks: string | null
}

/** Things of one sort, by what they are called. Two of the same name are compared field by field. */
type Sort<T> = {
  readonly what: Change['what']
  readonly items: (plan: Plan) => readonly (readonly [subject: string, item: T])[]
  readonly fields: (item: T) => Readonly<Record<string, unknown>>
  readonly removed?: (subject: string, item: T, after: Plan) => string | null
  readonly changed?: (before: T, after: T, plan: Plan) => readonly (string | null)[]
}

/** Compares two plans of one environment. In the order of the sorts, then by subject. */
export function diffPlans(before: Plan, after: Plan): readonly Change[] {
  return [
    ...compare(services, before, after),
    ...compare(calls, before, after),
    ...compare(topics, before, after),
    ...compare(subscriptions, before, after),
    ...compare(queues, before, after),
    ...compare(questions, before, after),
    ...compare(stores, before, after),
    ...compare(egress, before, after),
    ...compare(exposures, before, after),
    ...compare(sagas, before, after),
  ]
}

function compare<T>(sort: Sort<T>, before: Plan, after: Plan): Change[] {
  const [old, now] = [new Map(sort.items(before)), new Map(sort.items(after))]
  const subjects = [...new Set([...old.keys(), ...now.keys()])].sort(compareText)
  return subjects.flatMap((subject) => {
    const [was, is] = [old.get(subject), now.get(subject)]
    if (was === undefined) return [change('added', sort.what, subject)]
    if (is === undefined) {
      return [change('removed', sort.what, subject, [], sort.removed?.(subject, was, after) ?? null)]
    }
    const fields = changedFields(sort.fields(was), sort.fields(is))
    if (fields.length === 0) return []
    const breaks = (sort.changed?.(was, is, after) ?? []).filter((text) => text !== null)
    return [change('changed', sort.what, subject, fields, breaks.length > 0 ? breaks.join('; ') : null)]
  })
}

function change(
  kind: Change['kind'],
  what: Change['what'],
  subject: string,
  fields: Change['fields'] = [],
  breaks: string | null = null,
): Change {
  return { kind, what, subject, fields, breaks }
}

function changedFields(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): Change['fields'] {
  return Object.keys({ ...before, ...after }).flatMap((field) => {
    const [from, to] = [word(before[field]), word(after[field])]
    return from === to ? [] : [{ field, from, to }]
  })
}

function word(value: unknown): string {
  if (value === null || value === undefined) return 'none'
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(word).join(', ')
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([key, each]) => `${key} ${word(each)}`)
      .join(' ')
  return String(value)
}

const services: Sort<Plan['services'][number]> = {
  what: 'service',
  items: (plan) => plan.services.map((service) => [service.name, service]),
  fields: ({ replicas, resources, objective, rateLimit, protocol }) => ({
    replicas,
    resources,
    objective,
    rateLimit,
    protocol,
  }),
  removed: (name) => `whoever still calls ${name} or waits for its events while the change is rolled out`,
  changed: (before, after) => [
    before.protocol !== after.protocol ? `every caller of ${after.name}: its interface speaks another protocol` : null,
  ],
}

const calls: Sort<{ from: string; to: string; route: LinkRoute; breaker: unknown; limits: unknown }> = {
  what: 'call',
  items: (plan) =>
    plan.links.flatMap(({ from, to, routes, breaker, limits }) =>
      routes.flatMap((route) =>
        route.methods.map(({ name }) => [`${from} → ${to}.${name}`, { from, to, route, breaker, limits }] as const),
      ),
    ),
  fields: ({ route: { deadlineMs, idleMs, retry, fallback }, breaker, limits }) => ({
    deadlineMs,
    idleMs,
    retry,
    fallback,
    breaker,
    limits,
  }),
  removed: (subject, { from }, after) =>
    after.services.some(({ name }) => name === from)
      ? `replicas of ${from} that still call it (${subject}) are refused: roll ${from} out first`
      : null,
  changed: (before, after, plan) => [
    after.route.deadlineMs < before.route.deadlineMs ? slowerCalls(after.to, after.route.deadlineMs, plan) : null,
  ],
}

/** A callee that itself may wait for longer than it is now given. */
function slowerCalls(callee: string, deadlineMs: number, plan: Plan): string | null {
  const slower = plan.links.filter(
    ({ from, routes }) => from === callee && routes.some((route) => route.deadlineMs > deadlineMs),
  )
  if (slower.length === 0) return null
  return `${callee} may itself wait for ${slower.map(({ to }) => to).join(', ')} for longer than these ${deadlineMs} ms`
}

const topics: Sort<PlannedTopic> = {
  what: 'topic',
  items: (plan) => plan.topics.map((topic) => [topic.name, topic]),
  fields: ({ owner, partitions, replication, minInSyncReplicas, retentionMs, messages, key }) => ({
    owner,
    key,
    messages,
    partitions,
    replication,
    minInSyncReplicas,
    retentionMs,
  }),
  removed: (name) => `its records are deleted with the topic: whoever has not yet read ${name} loses them`,
  changed: (before, after, plan) => [
    before.owner !== after.owner ? `${before.owner}, which may no longer write it` : null,
    before.key !== after.key ? 'the order of records of one key, across the change: drain the topic first' : null,
    after.partitions < before.partitions ? 'the topic: Kafka cannot take partitions away, it must be made anew' : null,
    after.partitions > before.partitions
      ? 'the order of records of one key, across the change: keys move to other partitions'
      : null,
    ...before.messages
      .filter((message) => !after.messages.includes(message))
      .map((message) => missedBy(plan, after.name, message)),
  ],
}

function missedBy(plan: Plan, topic: string, message: string): string | null {
  const readers = plan.subscriptions.filter((each) => each.topic === topic && each.messages.includes(message))
  return readers.length > 0 ? `${readers.map(({ service }) => service).join(', ')}: ${message} comes no more` : null
}

const subscriptions: Sort<Plan['subscriptions'][number]> = {
  what: 'subscription',
  items: (plan) => plan.subscriptions.map((each) => [`${each.service} ← ${each.topic} (${each.group})`, each]),
  fields: ({ messages, concurrency, gatherMs, attempts, backoff, deadLetterTopic, idempotent, replayable }) => ({
    messages,
    concurrency,
    gatherMs,
    attempts,
    backoff,
    deadLetterTopic,
    idempotent,
    replayable,
  }),
  removed: (_subject, { service, group }) =>
    `${service}: where group ${group} had read to is forgotten with its dead letters`,
}

const queues: Sort<PlannedQueue> = {
  what: 'queue',
  items: (plan) => plan.queues.map((queue) => [queue.name, queue]),
  fields: ({ worker, senders, messages, replies, prefetch, deliveryLimit, backoff, lengthMax, deadLetterQueue }) => ({
    worker,
    senders,
    messages,
    replies,
    prefetch,
    deliveryLimit,
    backoff,
    lengthMax,
    deadLetterQueue,
  }),
  removed: (name) => `its tasks are deleted with the queue: whatever waits in ${name} is lost`,
  changed: (before, after) => [
    before.worker !== after.worker ? `${before.worker}, which may no longer work it` : null,
    ...before.senders
      .filter((sender) => !after.senders.includes(sender))
      .map((sender) => `replicas of ${sender} that still send to it are refused: roll ${sender} out first`),
    goneRetries(before, after),
  ],
}

function goneRetries(before: PlannedQueue, after: PlannedQueue): string | null {
  const now = retriesOf(after).map(({ name }) => name)
  const gone = retriesOf(before).flatMap(({ name }) => (now.includes(name) ? [] : [name]))
  if (gone.length === 0) return null
  return `replicas of ${before.worker} that still put tasks into ${gone.join(', ')} are refused: roll ${before.worker} out first`
}

const questions: Sort<{ from: string; deadlineMs: number; inFlightMax: number }> = {
  what: 'question',
  items: (plan) =>
    plan.queues.flatMap(({ name, askers }) =>
      askers.map(({ service, ...policy }) => [`${service} → ${name}`, { from: service, ...policy }] as const),
    ),
  fields: ({ deadlineMs, inFlightMax }) => ({ deadlineMs, inFlightMax }),
  removed: (subject, { from }) => `replicas of ${from} that still ask (${subject}) are refused: roll ${from} out first`,
}

const stores: Sort<Plan['stores'][number]> = {
  what: 'store',
  items: (plan) => plan.stores.map((store) => [`${store.owner}: ${store.database}`, store]),
  fields: ({ connectionsMax, instances, storageGiB }) => ({ connectionsMax, instances, storageGiB }),
  removed: (subject) => `the data of ${subject} are no longer reached; the database itself is kept`,
  changed: (before, after) => [after.storageGiB < before.storageGiB ? 'the volume: it cannot shrink' : null],
}

const egress: Sort<Plan['egress'][number]> = {
  what: 'egress',
  items: (plan) => plan.egress.map((each) => [`${each.from} → ${each.external}`, each]),
  fields: ({ deadlineMs, retry, breaker, limits }) => ({ deadlineMs, retry, breaker, limits }),
  removed: (_subject, { from, external }) =>
    `replicas of ${from} that still ask ${external} are refused: roll ${from} out first`,
}

const exposures: Sort<PlannedExposure> = {
  what: 'exposure',
  items: (plan) => plan.exposures.map((exposure) => [exposure.name, exposure]),
  fields: ({
    service,
    methods,
    client,
    grpcWeb,
    origins,
    host,
    versions,
    rateLimit,
    authentication,
    bodyBytesMax,
    deadlineMs,
    streamDeadlineMs,
  }) => ({
    service,
    methods: methods.map(({ verb, path }) => `${verb} ${path}`),
    client,
    grpcWeb,
    origins,
    host,
    versions: versions.map(writtenVersion),
    rateLimit,
    authentication,
    bodyBytesMax,
    deadlineMs,
    streamDeadlineMs,
  }),
  removed: () => 'clients outside',
  changed: (before, after) => {
    const known = new Set(after.methods.map(({ verb, path }) => `${verb} ${path}`))
    const served = new Set(after.versions.map(({ name }) => name))
    const retired = before.versions.map(({ name }) => name).filter((name) => !served.has(name))
    const gone = before.methods.filter(({ verb, path }) => !known.has(`${verb} ${path}`))
    const shut = after.origins.includes('*') ? [] : before.origins.filter((origin) => !after.origins.includes(origin))
    return [
      shut.length > 0 ? `pages of ${shut.join(', ')}` : null,
      gone.length > 0 ? `clients outside that ask ${gone.map(({ verb, path }) => `${verb} ${path}`).join(', ')}` : null,
      retired.length > 0 ? `clients outside that ask for ${retired.join(', ')}` : null,
      before.host !== after.host ? `clients outside that know ${before.host}` : null,
      before.authentication.kind !== after.authentication.kind && after.authentication.kind !== 'none'
        ? 'clients outside without a token'
        : null,
    ]
  },
}

function writtenVersion({ name, deprecated, sunset }: PlannedExposure['versions'][number]): string {
  const days = [deprecated && `deprecated ${deprecated}`, sunset && `sunset ${sunset}`].filter(Boolean)
  return days.length > 0 ? `${name} (${days.join(', ')})` : name
}

const sagas: Sort<Plan['sagas'][number]> = {
  what: 'saga',
  items: (plan) => plan.sagas.map((saga) => [saga.name, saga]),
  fields: ({ name: _name, steps, ...rest }) => ({ ...rest, steps: steps.map((one) => JSON.stringify(one)) }),
  removed: (name) => `sagas of ${name} under way: let them end first`,
  changed: (before, after) => [
    JSON.stringify(before.steps) !== JSON.stringify(after.steps)
      ? 'sagas under way, which go on by the new steps: let them end first'
      : null,
  ],
}
