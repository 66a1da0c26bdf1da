/** What a diagram shows of a plan, before anybody decides how it looks. Mermaid and SVG draw the same picture. */
import type { LinkRoute, Plan, PlannedExposure, PlannedRetry, PlannedService } from '#plan/plan.ts'

/** What is drawn as a box. */
export type PictureNode = {
  readonly id: string
  readonly kind: 'client' | 'exposure' | 'service' | 'topic' | 'queue' | 'external' | 'subscribers'
  readonly zone: string
  readonly title: string
  /** What is said below the title, one line each. */
  readonly lines: readonly string[]
  /** The databases that it owns. */
  readonly stores: readonly string[]
}

/** A connection. Somebody waits at the other end of a synchronous one. */
export type PictureEdge = {
  readonly from: string
  readonly to: string
  readonly kind: 'sync' | 'async'
  readonly lines: readonly string[]
}

/** A trust boundary: what is inside trusts nothing outside without proof. */
export type Zone = {
  readonly id: string
  readonly kind: 'outside' | 'mesh' | 'external'
  readonly title: string
}

/** Everything that is drawn. */
export type Picture = {
  readonly title: string
  readonly zones: readonly Zone[]
  readonly nodes: readonly PictureNode[]
  readonly edges: readonly PictureEdge[]
}

/** The picture of a plan. Its parts are in the plan's order, so equal plans give equal pictures. */
export function pictureOf(plan: Plan): Picture {
  return {
    title: `${plan.system} (${plan.environment})`,
    zones: zonesOf(plan),
    nodes: [
      ...plan.exposures.flatMap(wayIn),
      ...plan.services.map((service) => serviceNode(plan, service)),
      ...plan.topics.filter((topic) => topic.kind === 'events').map(topicNode),
      ...plan.queues.map(queueNode),
      ...plan.externals.map(externalNode),
      ...(plan.webhooks.length > 0 ? [subscribers] : []),
    ],
    edges: [...syncEdges(plan), ...eventEdges(plan), ...taskEdges(plan)],
  }
}

/** Milliseconds as short as they can be said: `300 ms`, `1.5 s`, `4 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${ms} ms`
  if (ms < 120_000) return `${Number((ms / 1_000).toFixed(2))} s`
  if (ms < 7_200_000) return `${Number((ms / 60_000).toFixed(1))} min`
  return ms < 172_800_000 ? `${Number((ms / 3_600_000).toFixed(1))} h` : `${Number((ms / 86_400_000).toFixed(1))} d`
}

const subscribers: PictureNode = {
  id: 'subscribers',
  kind: 'subscribers',
  zone: 'subscribers',
  title: 'subscribers',
  lines: ['addresses given at run time'],
  stores: [],
}

function zonesOf(plan: Plan): Zone[] {
  return [
    ...(plan.exposures.length > 0 ? [{ id: 'outside', kind: 'outside' as const, title: 'Outside' }] : []),
    { id: 'mesh', kind: 'mesh', title: `Mesh ${plan.namespace} · mutual TLS` },
    ...plan.externals.map(
      (external): Zone => ({ id: `external ${external.name}`, kind: 'external', title: `Outside: ${external.name}` }),
    ),
    ...(plan.webhooks.length > 0 ? [{ id: 'subscribers', kind: 'external' as const, title: 'Outside: webhooks' }] : []),
  ]
}

function wayIn(exposure: PlannedExposure): PictureNode[] {
  const { name, client, host, versions, rateLimit, authentication, bodyBytesMax, deadlineMs } = exposure
  return [
    {
      id: `client ${name}`,
      kind: 'client',
      zone: 'outside',
      title: client === 'browser' ? 'browsers' : 'machines',
      lines: [host === '*' ? 'any host' : host],
      stores: [],
    },
    {
      id: `exposure ${name}`,
      kind: 'exposure',
      zone: 'mesh',
      title: name,
      lines: [
        `${[short(exposure.api), versions.map(({ name }) => name).join(', ')].join(' ').trim()}${exposure.grpcWeb ? ' · gRPC-Web' : ''}`,
        `${duration(deadlineMs)} · ${rateLimit ? rateText(rateLimit) : 'any rate'} · ${bodyBytesMax === null ? 'any size' : size(bodyBytesMax)}`,
        authentication.kind === 'none' ? 'no authentication' : 'JWT',
      ],
      stores: [],
    },
  ]
}

function rateText({ perSecond, perClient }: NonNullable<PlannedExposure['rateLimit']>): string {
  return perClient ? `${perSecond}/s, ${perClient.perSecond}/s a client` : `${perSecond}/s`
}

function serviceNode(plan: Plan, service: PlannedService): PictureNode {
  return {
    id: `service ${service.name}`,
    kind: 'service',
    zone: 'mesh',
    title: service.replicas > 1 ? `${service.name} ×${service.replicas}` : service.name,
    lines: service.apis.map((api) => `${apiKinds[api.kind]} ${short(api.name)}`),
    stores: plan.stores.filter((store) => store.owner === service.name).map((store) => store.database),
  }
}

const apiKinds = { grpc: 'gRPC', rest: 'REST', graphql: 'GraphQL' } as const

function topicNode(topic: Plan['topics'][number]): PictureNode {
  return {
    id: `topic ${topic.name}`,
    kind: 'topic',
    zone: 'mesh',
    title: topic.name,
    lines: [`${topic.partitions} partitions${topic.key === null ? '' : ` by ${topic.key}`}`],
    stores: [],
  }
}

function queueNode(queue: Plan['queues'][number]): PictureNode {
  const lines = [
    queue.messages.map(short).join(', '),
    `${queue.deliveryLimit} deliveries${queue.deadLetterQueue === null ? '' : ', then dead letter'}`,
  ]
  return { id: `queue ${queue.name}`, kind: 'queue', zone: 'mesh', title: queue.name, lines, stores: [] }
}

function externalNode(external: Plan['externals'][number]): PictureNode {
  return {
    id: `external ${external.name}`,
    kind: 'external',
    zone: `external ${external.name}`,
    title: external.name,
    lines: [
      `${external.host}:${external.port}`,
      `${external.protocol.toUpperCase()}${external.tls ? ' over TLS' : ''} · up to ${duration(external.expectedLatencyMs)}`,
    ],
    stores: [],
  }
}

function syncEdges(plan: Plan): PictureEdge[] {
  return [
    ...plan.exposures.flatMap(({ name, service }): PictureEdge[] => [
      { from: `client ${name}`, to: `exposure ${name}`, kind: 'sync', lines: [] },
      { from: `exposure ${name}`, to: `service ${service}`, kind: 'sync', lines: [] },
    ]),
    ...plan.links.map(
      ({ from, to, routes, breaker }): PictureEdge => ({
        from: `service ${from}`,
        to: `service ${to}`,
        kind: 'sync',
        lines: [...routes.flatMap(routeLines), breakerText(breaker)],
      }),
    ),
    ...plan.egress.map(
      ({ from, external, deadlineMs, retry, breaker }): PictureEdge => ({
        from: `service ${from}`,
        to: `external ${external}`,
        kind: 'sync',
        lines: [callText(deadlineMs, retry), breakerText(breaker)],
      }),
    ),
  ]
}

function eventEdges(plan: Plan): PictureEdge[] {
  return [
    ...plan.topics
      .filter((topic) => topic.kind === 'events')
      .map(
        ({ name, owner }): PictureEdge => ({
          from: `service ${owner}`,
          to: `topic ${name}`,
          kind: 'async',
          lines: [],
        }),
      ),
    ...plan.subscriptions.map(
      ({ service, topic, messages }): PictureEdge => ({
        from: `topic ${topic}`,
        to: `service ${service}`,
        kind: 'async',
        lines: messages.map(short),
      }),
    ),
    ...plan.webhooks.map(
      ({ service, name, signed, attempts }): PictureEdge => ({
        from: `service ${service}`,
        to: 'subscribers',
        kind: 'async',
        lines: [name, `${signed ? 'signed' : 'unsigned'} · ${attempts} attempts`],
      }),
    ),
  ]
}

function taskEdges(plan: Plan): PictureEdge[] {
  return plan.queues.flatMap(({ name, worker, senders, askers, prefetch }): PictureEdge[] => [
    ...senders.map((from) => ({
      from: `service ${from}`,
      to: `queue ${name}`,
      kind: 'async' as const,
      lines: [],
    })),
    ...askers.map(({ service, deadlineMs }) => ({
      from: `service ${service}`,
      to: `queue ${name}`,
      kind: 'async' as const,
      lines: [`asks · ${duration(deadlineMs)}`],
    })),
    ...(worker === ''
      ? []
      : [
          {
            from: `queue ${name}`,
            to: `service ${worker}`,
            kind: 'async' as const,
            lines: [`works · ${prefetch} at once`],
          },
        ]),
  ])
}

function routeLines({ methods, deadlineMs, retry, fallback }: LinkRoute): string[] {
  const policy = `${callText(deadlineMs, retry)}${fallback ? ' · fallback' : ''}`
  const names = methods.map((method) => method.name).join(', ')
  return names.length > 16 ? [names, policy] : [`${names} · ${policy}`]
}

function callText(deadlineMs: number, retry: PlannedRetry | null): string {
  return `${duration(deadlineMs)}${retry ? ` · ${retry.attempts} attempts` : ' · 1 attempt'}`
}

function breakerText({ failures, openMs }: { failures: number; openMs: number }): string {
  return `breaker ${failures} → ${duration(openMs)}`
}

function size(bytes: number): string {
  return bytes >= 1_048_576
    ? `${Number((bytes / 1_048_576).toFixed(1))} MiB`
    : `${Number((bytes / 1_024).toFixed(1))} KiB`
}

/** A full name without its package. */
function short(name: string): string {
  return name.split('.').at(-1) ?? name
}
