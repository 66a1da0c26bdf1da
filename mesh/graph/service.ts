import type { Acceptance } from './acceptance.ts'
import type { Api } from './api.ts'
import type { CallEdge } from './call.ts'
import type { ReachEdge } from './external.ts'
import type { RateLimit } from './policy.ts'
import type { AskEdge, QueueNode, SendEdge, WorkEdge } from './queue.ts'
import type { Start } from './start.ts'
import type { StoreNode } from './store.ts'
import type { ConsumeEdge, TopicNode } from './topic.ts'
import type { DeliverEdge, WebhookNode } from './webhook.ts'

/** What a service may do towards others. */
export type Edge = CallEdge | ConsumeEdge | SendEdge | WorkEdge | AskEdge | ReachEdge | DeliverEdge

/** What a service promises: the share of calls answered without a fault of ours, and how fast 99 of 100 are. */
export type Objective = { readonly availability: number; readonly p99Ms: number }

/** What one replica asks for and may use at most. CPU has no limit on purpose: throttling turns load into latency. */
export type Resources = { readonly cpuMillis: number; readonly memoryMiB: number }

/** The declaration of a service. Every field has a safe default; `{ exposes: [Api] }` is complete. */
export type ServiceSpec = {
  readonly exposes?: readonly Api[]
  readonly owns?: readonly StoreNode[]
  readonly publishes?: readonly TopicNode[]
  readonly edges?: readonly Edge[]
  /** Default: the module `services/<name>/main.ts`. */
  readonly start?: Start
  /** Default: by environment, 1 locally and 2 in production. */
  readonly replicas?: number
  /** Default: 100 millicores and 192 MiB. */
  readonly resources?: Resources
  /** Default: 99.9 % and 500 ms. */
  readonly objective?: Objective
  /** What all callers together may ask of one replica. Default: none beyond each edge's limits. */
  readonly rateLimit?: RateLimit
  /** Findings that the owners know of and accept, each with its reason. */
  readonly accepts?: readonly Acceptance[]
}

/** A declared service. The kit derives from its type what the service's code may do. */
export type ServiceNode<N extends string = string, S extends ServiceSpec = ServiceSpec> = {
  readonly kind: 'service'
  readonly name: N
  readonly spec: S
}

/** Declares a service. The name becomes its DNS name, its identity and its database: a DNS-1123 label. */
export function service<const N extends string, const S extends ServiceSpec>(name: N, spec: S): ServiceNode<N, S> {
  return { kind: 'service', name, spec }
}

/** The edges of a service, as a union type. */
export type EdgeOf<S extends ServiceNode> = S['spec']['edges'] extends readonly (infer E)[] ? E : never

/** The interfaces that a service declared to call. */
export type CalledApi<S extends ServiceNode> = ApiIn<EdgeOf<S>>
type ApiIn<E> = E extends CallEdge<infer A> ? A : never

/** The methods of one interface that a service declared to call. */
export type CalledMethod<S extends ServiceNode, A extends Api> = MethodIn<Extract<EdgeOf<S>, { kind: 'calls'; api: A }>>
type MethodIn<E> = E extends CallEdge<Api, infer M> ? M : never

/** The interfaces that a service exposes. */
export type ExposedApi<S extends ServiceNode> = S['spec']['exposes'] extends readonly (infer A extends Api)[]
  ? A
  : never

/** The topics that a service owns. */
export type PublishedTopic<S extends ServiceNode> = S['spec']['publishes'] extends readonly (infer T extends
  TopicNode)[]
  ? T
  : never

/** The topics that a service declared to consume. */
export type ConsumedTopic<S extends ServiceNode> = TopicIn<EdgeOf<S>>
type TopicIn<E> = E extends ConsumeEdge<infer T> ? T : never

/** The events of one topic that a service declared to consume, as a union of descriptors. */
export type ConsumedMessage<S extends ServiceNode, T extends TopicNode> = MessageIn<
  Extract<EdgeOf<S>, { kind: 'consumes'; topic: T }>
>
type MessageIn<E> = E extends ConsumeEdge<TopicNode, infer M> ? M : never

/** The queues towards which a service declared an edge of one kind: `sends`, `works` or `asks`. */
export type QueueOf<S extends ServiceNode, K extends 'sends' | 'works' | 'asks'> = QueueIn<
  Extract<EdgeOf<S>, { kind: K }>
>
type QueueIn<E> = E extends { queue: infer Q extends QueueNode } ? Q : never

/** The externals that a service declared to reach. */
export type ReachedExternal<S extends ServiceNode> = ExternalIn<EdgeOf<S>>
type ExternalIn<E> = E extends ReachEdge<infer X> ? X : never

/** The webhooks that a service declared to deliver. */
export type DeliveredWebhook<S extends ServiceNode> = WebhookIn<EdgeOf<S>>
type WebhookIn<E> = E extends DeliverEdge<infer W extends WebhookNode> ? W : never
