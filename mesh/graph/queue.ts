import type { DescMessage } from '@bufbuild/protobuf'
import type { Redelivery } from './policy.ts'

/** Tasks for one service, each done by one of its workers; with `replies` a request–reply channel. */
export type QueueNode<
  N extends string = string,
  M extends DescMessage = DescMessage,
  R extends DescMessage | null = DescMessage | null,
> = {
  readonly kind: 'queue'
  readonly name: N
  readonly carries: readonly M[]
  /** What a request is answered with; null for a queue of tasks. */
  readonly replies: R
  /** Attempts before a task becomes a dead letter. Default: 5, 100 ms to 5 s. */
  readonly redelivery: Redelivery
  readonly deadLetter: boolean
  readonly lengthMax: number | undefined
}

/**
 * Declares a queue.
 * - `carries`: the descriptors of its tasks. `replies`: the descriptor of the answer, for `asks`.
 * - `redelivery.attempts` is the delivery limit, default 5. `deadLetter`: default true; a check refuses false.
 * - `lengthMax`: tasks waiting at most, default 100,000; beyond it the sender is refused.
 */
export function queue<const N extends string, const M extends DescMessage, const R extends DescMessage | null = null>(
  name: N,
  spec: {
    carries: readonly M[]
    replies?: R
    redelivery?: Redelivery
    deadLetter?: boolean
    lengthMax?: number
  },
): QueueNode<N, M, R> {
  return {
    kind: 'queue',
    name,
    carries: spec.carries,
    replies: (spec.replies ?? null) as R,
    redelivery: spec.redelivery ?? {},
    deadLetter: spec.deadLetter ?? true,
    lengthMax: spec.lengthMax,
  }
}

/** An edge to a queue: this service puts tasks into it. */
export type SendEdge<Q extends QueueNode = QueueNode> = { readonly kind: 'sends'; readonly queue: Q }

/** Declares that a service sends tasks, through its outbox. */
export function sends<const Q extends QueueNode>(queue: Q): SendEdge<Q> {
  return { kind: 'sends', queue }
}

/** How a service works a queue. */
export type WorkPolicy = {
  /** Tasks in hand at once, for one replica. Default: 10. */
  readonly prefetch?: number
}

/** An edge from a queue: this service does its tasks. A queue has exactly one working service. */
export type WorkEdge<Q extends QueueNode = QueueNode> = {
  readonly kind: 'works'
  readonly queue: Q
  readonly policy: WorkPolicy
}

/** Declares that a service works a queue; its replicas compete for the tasks. */
export function works<const Q extends QueueNode>(queue: Q, policy: WorkPolicy = {}): WorkEdge<Q> {
  return { kind: 'works', queue, policy }
}

/** How long an asker waits, and how many answers it may wait for at once. */
export type AskPolicy = { readonly deadlineMs: number; readonly inFlightMax?: number }

/** An edge to a queue with replies: this service asks and waits for the correlated answer. */
export type AskEdge<Q extends QueueNode = QueueNode> = {
  readonly kind: 'asks'
  readonly queue: Q
  readonly policy: AskPolicy
}

/** Declares request–reply over a queue: `deadlineMs` bounds the wait, `inFlightMax` (default 100) the open requests. */
export function asks<const Q extends QueueNode<string, DescMessage, DescMessage>>(
  queue: Q,
  policy: AskPolicy,
): AskEdge<Q> {
  return { kind: 'asks', queue, policy }
}
