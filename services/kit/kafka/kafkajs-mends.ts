// @ts-expect-error kafkajs has no types for its inside.
import BrokerPool from 'kafkajs/src/cluster/brokerPool.js'
// @ts-expect-error kafkajs has no types for its inside.
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'

/** The part of kafkajs 2.2.4's request queue that is mended here. */
export type RequestQueueInside = { readonly pending: readonly unknown[]; scheduleCheckPendingRequests(): void }
/** The part of its broker pool that is mended here. */
export type BrokerPoolInside = {
  readonly brokers: Readonly<Record<string, unknown>>
  metadataExpireAt: number | null
  removeBroker(destination: { host: string; port: number }): void
}
/** What every request queue inherits from. */
export const requestQueue: RequestQueueInside = RequestQueue.prototype
/** What every broker pool inherits from. */
export const brokerPool: BrokerPoolInside = BrokerPool.prototype

let mended = false

/** Mends two defects of kafkajs 2.2.4, which has had no release since 2023, at their cause. Safe to call again. */
export function mendKafkajs(): void {
  if (mended) return
  mended = true
  mendIdleTimer()
  mendOnlyBroker()
}

/**
 * After each response the request queue schedules a check of the requests that wait for the end of a throttle, also
 * when none waits and no throttle is set. "Until" is then -1, the wait a large negative number, which Node turns into
 * 1 ms (with a `TimeoutNegativeWarning`), and the check schedules the next one: every connection wakes up a thousand
 * times a second for good. Without a waiting request there is nothing to check; `push` schedules once one waits.
 */
function mendIdleTimer(): void {
  const original = requestQueue.scheduleCheckPendingRequests
  requestQueue.scheduleCheckPendingRequests = function scheduleCheckPendingRequests() {
    if (this.pending.length > 0) original.call(this)
  }
}

/**
 * When a broker closes the connection, kafkajs forgets the broker and fetches from the others. When it was the only
 * one, "no broker available" ends the consumer without leaving the group, and the next one waits until the group has
 * given up the lost member. The only broker is kept, and its metadata asked for again.
 */
function mendOnlyBroker(): void {
  const original = brokerPool.removeBroker
  brokerPool.removeBroker = function removeBroker(destination) {
    if (Object.keys(this.brokers).length > 1) original.call(this, destination)
    else this.metadataExpireAt = null
  }
}
