/** The delivery log: what was and is to be delivered, what came of each attempt, and how to have it delivered once more. */
import { notFound, ServiceError } from '../errors.ts'
import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import type { WebhookDatabase } from './endpoints.ts'
import { noEndpoint } from './endpoints.ts'

/** How far a delivery is. */
export type DeliveryState = 'waiting' | 'delivered' | 'failed'

/** One event for one endpoint, as its owner sees it. */
export type Delivery = {
  readonly number: bigint
  readonly eventId: string
  readonly type: string
  readonly state: DeliveryState
  readonly attempts: number
  readonly replays: number
  /** Null once it is settled. */
  readonly nextAt: Date | null
  /** Of the last attempt, as the next two. */
  readonly status: number | null
  readonly error: string
  readonly reason: string
  readonly createdAt: Date
  readonly settledAt: Date | null
}

/** One attempt of the log. Numbers are never used twice; one is missing where a process died before it could write. */
export type LoggedAttempt = {
  readonly number: number
  readonly at: Date
  readonly durationMs: number
  readonly status: number | null
  readonly error: string
  readonly reason: string
  readonly excerpt: string
}

const columns = `d.number, d.event_id as "eventId", v.type, d.state, d.attempts, d.replays,
  case when d.state = 'waiting' then d.next_at end as "nextAt", d.status, d.error, d.reason,
  d.created_at as "createdAt", d.settled_at as "settledAt"`
const from = `kit.webhook_deliveries d join kit.webhook_events v on v.webhook = d.webhook and v.event_id = d.event_id`

// The state stands in the text: a plan that holds for every state would read all that arrived to find what failed.
const pageOf = (state: string) =>
  statement(`
    select ${columns} from ${from}
    where d.endpoint_id = $1 and d.number < $2 ${state} order by d.number desc limit $3`)
const selectPage = {
  any: pageOf(''),
  waiting: pageOf(`and d.state = 'waiting'`),
  delivered: pageOf(`and d.state = 'delivered'`),
  failed: pageOf(`and d.state = 'failed'`),
} as const
const beyondAll = 2n ** 63n - 1n

/** Deliveries to an endpoint, the newest first, those before a number. */
export async function listDeliveries(
  database: AnyDatabase,
  endpointId: string,
  page: { readonly before?: bigint | undefined; readonly state?: DeliveryState | undefined; readonly limit: number },
): Promise<readonly Delivery[]> {
  return database.query<Delivery>(selectPage[page.state ?? 'any'], [endpointId, page.before ?? beyondAll, page.limit])
}

const selectOne = statement(`select ${columns}, v.payload from ${from} where d.endpoint_id = $1 and d.number = $2`)
const selectAttempts = statement(`
  select number, at, duration_ms as "durationMs", status, error, reason, excerpt
  from kit.webhook_attempts where delivery = $1 order by number`)

/**
 * One delivery with what is sent, and every attempt.
 * @throws ServiceError `not-found`
 */
export async function showDelivery(
  database: AnyDatabase,
  endpointId: string,
  number: bigint,
): Promise<{ readonly delivery: Delivery; readonly payload: string; readonly attempts: readonly LoggedAttempt[] }> {
  const [row] = await database.query<Delivery & { payload: string }>(selectOne, [endpointId, number])
  if (!row) throw noDelivery(number)
  const { payload, ...delivery } = row
  return { delivery, payload, attempts: await database.query<LoggedAttempt>(selectAttempts, [number]) }
}

/** Replayed by one request at most. */
const replayMax = 10_000

const lockEndpoint = statement(`
  select state from kit.webhook_endpoints where webhook = $1 and endpoint_id = $2 for share`)
// One that waits for its next attempt is tried now; one that is under way stays as it is.
const replayOne = statement(`
  update kit.webhook_deliveries
  set state = 'waiting', attempts = 0, replays = replays + 1, next_at = $3, settled_at = null
  where endpoint_id = $1 and number = $2 and leased_until is null returning 1`)
const existing = statement('select from kit.webhook_deliveries where endpoint_id = $1 and number = $2')
const replayRange = (states: string) =>
  statement(`
    with replayed as (
      update kit.webhook_deliveries
      set state = 'waiting', attempts = 0, replays = replays + 1, next_at = $5, settled_at = null
      where number in (
        select number from kit.webhook_deliveries
        where endpoint_id = $1 and created_at >= $2 and created_at < $3 and ${states} and number > $6
          and leased_until is null
        order by number limit $4)
      returning number)
    select count(*)::int as replayed, max(number) as last from replayed`)
const replayFailed = replayRange(`state = 'failed'`)
const replaySettled = replayRange(`state <> 'waiting'`)

/**
 * Delivers once more, under the same id, so that a receiver knows what it had already.
 * @throws ServiceError `not-found`; `failed-precondition` where the endpoint is disabled
 */
export async function replayDelivery(
  database: WebhookDatabase,
  webhook: string,
  endpointId: string,
  number: bigint,
): Promise<void> {
  await database.transaction(async (tx) => {
    await requireOpen(tx, webhook, endpointId)
    if ((await tx.query(replayOne, [endpointId, number, tx.at])).length > 0) {
      tx.afterCommit(() => database.signal(webhook))
    } else if ((await tx.query(existing, [endpointId, number])).length === 0) throw noDelivery(number)
  })
}

/** What to deliver once more: what failed of that made from `from` on and before `to`. */
export type ReplayRange = {
  readonly from: Date
  readonly to: Date
  /** Also what arrived. */
  readonly delivered?: boolean | undefined
  /** Where the last answer ended: its `next`. */
  readonly after?: bigint | undefined
}

/** What was replayed. `next` is there where more may follow: a delivery may soon be `delivered` or `failed` again, so only its number tells. */
export type Replayed = { readonly replayed: number; readonly next?: bigint | undefined }

/**
 * Delivers a span of time once more, oldest first and `limit` at most. Asking again with `after` goes on; without it, it begins anew.
 * @throws ServiceError `not-found`, or `failed-precondition` where the endpoint is disabled
 */
export async function replayDeliveries(
  database: WebhookDatabase,
  webhook: string,
  endpointId: string,
  { from: since, to, delivered = false, after = 0n }: ReplayRange,
  limit: number = replayMax,
): Promise<Replayed> {
  return database.transaction(async (tx) => {
    await requireOpen(tx, webhook, endpointId)
    const values = [endpointId, since, to, limit, tx.at, after]
    type Row = { replayed: number; last: bigint | null }
    const [row] = await tx.query<Row>(delivered ? replaySettled : replayFailed, values)
    tx.afterCommit(() => database.signal(webhook))
    const { replayed, last } = row ?? { replayed: 0, last: null }
    return { replayed, next: replayed < limit ? undefined : (last ?? undefined) }
  })
}

async function requireOpen(tx: AnyTx, webhook: string, endpointId: string): Promise<void> {
  const [row] = await tx.query<{ state: string }>(lockEndpoint, [webhook, endpointId])
  if (!row) throw noEndpoint(endpointId)
  if (row.state === 'disabled') {
    throw new ServiceError('failed-precondition', `The endpoint ${endpointId} is disabled: resume it first.`)
  }
}

const deleteOld = statement(`
  delete from kit.webhook_deliveries where ctid = any(array(
    select ctid from kit.webhook_deliveries
    where webhook = $1 and created_at < $2 and (leased_until is null or leased_until < $3) limit 5000))
  returning 1`)
const deleteOldEvents = statement(`
  delete from kit.webhook_events where ctid = any(array(
    select ctid from kit.webhook_events v where webhook = $1 and created_at < $2
    and not exists (select from kit.webhook_deliveries d where d.webhook = v.webhook and d.event_id = v.event_id) limit 5000))
  returning 1`)

/** Forgets what was made before a moment, delivered or not: a few thousand at a time. */
export async function prune(database: AnyDatabase, webhook: string, before: Date, now: Date): Promise<void> {
  while ((await database.query(deleteOld, [webhook, before, now])).length > 0);
  while ((await database.query(deleteOldEvents, [webhook, before])).length > 0);
}

function noDelivery(number: bigint): ServiceError {
  return notFound(`There is no delivery ${number} to this endpoint.`)
}
