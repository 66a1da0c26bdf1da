import type { DescMessage } from '@bufbuild/protobuf'
import type { Backoff } from './policy.ts'
import type { TopicNode } from './topic.ts'

/** Callbacks to systems outside whose addresses subscribers give at run time. */
export type WebhookNode<N extends string = string> = {
  readonly kind: 'webhook'
  readonly name: N
  readonly topic: TopicNode
  readonly messages: readonly DescMessage[]
  /** Whether deliveries are signed by Standard Webhooks. A check refuses false. */
  readonly signed: boolean
  readonly timeoutMs: number
  readonly attempts: number
  readonly backoff: Backoff
  readonly concurrentPerEndpointMax: number
}

/**
 * Declares webhooks for some events of a topic. Defaults: signed, 10 s a delivery, 12 attempts with waits that grow from 5 s
 * before the second to 4 h before the last, each by the same factor (about 7 h in all), 2 deliveries at once to one endpoint.
 */
export function webhook<const N extends string, const T extends TopicNode, const M extends T['carries'][number]>(
  name: N,
  topic: T,
  messages: readonly M[],
  spec: {
    signed?: boolean
    timeoutMs?: number
    attempts?: number
    backoff?: Backoff
    concurrentPerEndpointMax?: number
  } = {},
): WebhookNode<N> {
  return {
    kind: 'webhook',
    name,
    topic,
    messages,
    signed: spec.signed ?? true,
    timeoutMs: spec.timeoutMs ?? 10_000,
    attempts: spec.attempts ?? 12,
    backoff: spec.backoff ?? { baseMs: 5_000, maxMs: 4 * 3_600_000 },
    concurrentPerEndpointMax: spec.concurrentPerEndpointMax ?? 2,
  }
}

/** An edge to subscribers outside: this service delivers these webhooks. */
export type DeliverEdge<W extends WebhookNode = WebhookNode> = { readonly kind: 'delivers'; readonly webhook: W }

/** Declares that a service delivers webhooks. It also has to consume the events. */
export function delivers<const W extends WebhookNode>(webhook: W): DeliverEdge<W> {
  return { kind: 'delivers', webhook }
}
