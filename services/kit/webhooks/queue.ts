/** What is to be delivered: rows that wait for their time, are taken under a lease, and are settled by who holds it. */

import { correlationId } from '../context.ts'
import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import { injectTrace } from '../telemetry/telemetry.ts'
import type { Attempt } from './attempt.ts'
import type { WebhookDatabase } from './endpoints.ts'
import { afterFailure, afterSuccess, type Health, type HealthRow, healthColumns, healthOf } from './health.ts'

/** What subscribers are told. */
export type WebhookEvent = {
  /** The same for every attempt, endpoint and replay: receivers know by it what they had already. */
  readonly id: string
  readonly type: string
  readonly time: Date
  /** Anything that JSON holds. */
  readonly data: object
}

/** Deliveries that may wait for one endpoint. What comes beyond is a failed one at once, which can be replayed. */
const queueMax = 10_000

const insertDeliveries = statement(`
  with told as (
    select e.endpoint_id,
      (select count(*) from (select from kit.webhook_deliveries d
        where d.endpoint_id = e.endpoint_id and d.state = 'waiting' limit ${queueMax}) waiting) >= ${queueMax} as crowded
    from kit.webhook_endpoints e
    where e.webhook = $1 and e.state <> 'disabled'
      and case when $4::text is null then $3 = any(e.types) else e.endpoint_id = $4 end
    for key share of e
  ), event as (
    insert into kit.webhook_events (webhook, event_id, type, payload, correlation_id, traceparent, created_at)
    select $1, $2, $3, $5, $6, $7, $8 where exists (select from told)
    on conflict do nothing
  )
  insert into kit.webhook_deliveries (endpoint_id, webhook, event_id, state, error, reason, next_at, created_at, settled_at)
  select endpoint_id, $1, $2, case when crowded then 'failed' else 'waiting' end,
    case when crowded then 'queue-full' else '' end,
    case when crowded then 'More than ${queueMax} deliveries waited.' else '' end,
    $8, $8, case when crowded then $8::timestamptz end
  from told
  on conflict do nothing
  returning number`)

/** Tells all endpoints that asked for the event's type, with the commit of the transaction that the event is handled in. Telling one event again changes nothing. */
export function tell(tx: AnyTx, webhook: string, event: WebhookEvent): void {
  const values = valuesOf(tx, webhook, event, null)
  tx.lastly(
    insertDeliveries,
    () => values,
    (rows) => rows.length > 0 && tx.database.signal(webhook),
  )
}

/** Tells one endpoint, whatever it asked for; answers the delivery's number, or undefined where it is disabled. */
export async function tellOne(
  tx: AnyTx,
  webhook: string,
  event: WebhookEvent,
  endpointId: string,
): Promise<bigint | undefined> {
  const values = valuesOf(tx, webhook, event, endpointId)
  const [row] = await tx.query<{ number: bigint }>(insertDeliveries, values)
  if (row) tx.afterCommit(() => tx.database.signal(webhook))
  return row?.number
}

function valuesOf(tx: AnyTx, webhook: string, { id, type, time, data }: WebhookEvent, endpointId: string | null) {
  const payload = JSON.stringify({ type, timestamp: time.toISOString(), data })
  const { traceparent = null } = injectTrace({})
  return [webhook, id, type, endpointId, payload, correlationId(), traceparent, tx.at]
}

/** A delivery that was taken, with all that its attempt needs. */
export type Claimed = {
  readonly number: bigint
  readonly endpointId: string
  readonly eventId: string
  readonly url: string
  /** Of those under way and done, this one included. */
  readonly attempts: number
  /** Fences whoever took it before. */
  readonly claims: number
  readonly payload: string
  /** Those that are valid now, the newest first. */
  readonly secrets: readonly string[]
  readonly correlationId: string
  readonly traceparent: string | null
}

/** What may be taken at once. */
export type ClaimBounds = {
  readonly free: number
  readonly perEndpointMax: number
  /** After this long without a word it is given up for lost, and delivered again. */
  readonly leaseMs: number
}

// Whoever has waited longest comes first, and a paused endpoint is looked at with one delivery. Locked rows are another replica's.
const lockReady = statement(`
  select e.endpoint_id, case when e.state = 'paused' then 1 else $3::int end as max from kit.webhook_endpoints e
  where e.webhook = $1
    and (e.state = 'active' or (e.state = 'paused' and e.reason = 'failing' and e.probe_at <= $2))
    and exists (select from kit.webhook_deliveries d
      where d.endpoint_id = e.endpoint_id and d.state = 'waiting' and d.next_at <= $2)
    and (select count(*) from kit.webhook_deliveries d where d.endpoint_id = e.endpoint_id and d.leased_until > $2)
      < case when e.state = 'paused' then 1 else $3::int end
  order by e.served_at, e.endpoint_id limit $4
  for update of e skip locked`)

// A statement of its own: only what begins after the locks were had sees all that others took.
const takeDue = statement(`
  with ready as (
    select r.endpoint_id, r.max - (
      select count(*) from kit.webhook_deliveries d where d.endpoint_id = r.endpoint_id and d.leased_until > $3) as room, r.place
    from unnest($1::text[], $2::int[]) with ordinality as r (endpoint_id, max, place)
  ), due as (
    select d.number from ready r cross join lateral (
      select number from kit.webhook_deliveries
      where endpoint_id = r.endpoint_id and state = 'waiting' and next_at <= $3
      order by next_at, number limit greatest(r.room, 0) for update skip locked) d
    order by r.place limit $5
  ), taken as (
    update kit.webhook_deliveries d set attempts = attempts + 1, claims = claims + 1, leased_until = $4, next_at = $4
    from due where d.number = due.number
    returning d.*
  ), served as (
    update kit.webhook_endpoints e set served_at = $3 where endpoint_id in (select endpoint_id from taken)
  )
  select t.number, t.endpoint_id as "endpointId", t.event_id as "eventId", e.url, t.attempts, t.claims, v.payload,
    array(select secret from kit.webhook_secrets s
      where s.endpoint_id = t.endpoint_id and (s.expires_at is null or s.expires_at > $3) order by s.number desc) as secrets,
    v.correlation_id as "correlationId", v.traceparent
  from taken t join kit.webhook_endpoints e using (endpoint_id)
  join kit.webhook_events v on v.webhook = t.webhook and v.event_id = t.event_id
  order by t.number`)

/** Takes what is due, so that no endpoint has more under way than it may, whoever delivers, and no slow one holds the others. */
export async function claimDue(
  database: WebhookDatabase,
  webhook: string,
  { free, perEndpointMax, leaseMs }: ClaimBounds,
): Promise<readonly Claimed[]> {
  return database.transaction(async (tx) => {
    type Ready = { endpoint_id: string; max: number }
    const ready = await tx.query<Ready>(lockReady, [webhook, tx.at, perEndpointMax, free])
    if (ready.length === 0) return []
    const [ids, bounds] = [ready.map(({ endpoint_id }) => endpoint_id), ready.map(({ max }) => max)]
    return tx.query<Claimed>(takeDue, [ids, bounds, tx.at, new Date(tx.at.getTime() + leaseMs), free])
  })
}

const lockHealth = statement(`
  select ${healthColumns} from kit.webhook_endpoints where endpoint_id = $1 for update`)
const settleDelivery = statement(`
  update kit.webhook_deliveries
  set state = $3, status = $4, error = $5, reason = $6, leased_until = null, next_at = $7,
    settled_at = case when $3 = 'waiting' then null else $8::timestamptz end
  where number = $1 and claims = $2 and state = 'waiting'
  returning 1`)
const insertAttempt = statement(`
  insert into kit.webhook_attempts (delivery, number, at, duration_ms, status, error, reason, excerpt)
  values ($1, $2, $3, $4, $5, $6, $7, $8)`)
const updateHealth = statement(`
  update kit.webhook_endpoints set state = $2, reason = $3, failures = $4, failing_since = $5, probe_at = $6, probes = $7
  where endpoint_id = $1`)

/** What became of a delivery. `fenced`: its lease had run out, and another attempt decides. */
export type Settled = 'delivered' | 'waiting' | 'failed' | 'fenced'

/**
 * Records an attempt, and what it says about its endpoint. `retryInMs` is null where there is no further one.
 */
export async function settle(
  database: WebhookDatabase,
  { number, endpointId, claims }: Claimed,
  attempt: Attempt,
  retryInMs: number | null,
): Promise<{ readonly settled: Settled; readonly health: Health | null }> {
  return database.transaction(async (tx) => {
    const [row] = await tx.query<HealthRow>(lockHealth, [endpointId])
    if (!row) return { settled: 'fenced', health: null }
    const before = healthOf(row)
    const succeeded = attempt.error === ''
    const health = succeeded ? afterSuccess(before) : afterFailure(before, attempt.error, tx.at)
    const settled = succeeded ? 'delivered' : retryInMs === null || health.reason === 'gone' ? 'failed' : 'waiting'
    const nextAt = new Date(tx.at.getTime() + (retryInMs ?? 0))
    const { status, error, reason } = attempt
    const mine = await tx.query(settleDelivery, [number, claims, settled, status, error, reason, nextAt, tx.at])
    if (mine.length === 0) return { settled: 'fenced', health: null }
    const { at, durationMs, excerpt } = attempt
    await tx.query(insertAttempt, [number, claims, at, durationMs, status, error, reason, excerpt])
    const { state, failures, failingSince, probeAt, probes } = health
    await tx.query(updateHealth, [endpointId, state, health.reason, failures, failingSince, probeAt, probes])
    return { settled, health }
  })
}

const giveUp = statement(`
  update kit.webhook_deliveries set leased_until = null, next_at = $3, attempts = attempts - 1
  where number = $1 and claims = $2 and state = 'waiting'`)

/** Gives back what was not tried to its end, for another to begin at once: the process stops. */
export async function release(database: AnyDatabase, { number, claims }: Claimed, now: Date): Promise<void> {
  await database.query(giveUp, [number, claims, now])
}
