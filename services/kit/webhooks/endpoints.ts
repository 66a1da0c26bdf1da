import { createHash, randomUUID } from 'node:crypto'
import { withDeadline } from '../deadline.ts'
import { invalidArgument, notFound, ServiceError } from '../errors.ts'
import { idempotencyKeptMs } from '../http/idempotency.ts'
import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import { violates } from '../store/errors.ts'
import { type Health, type HealthRow, healthColumns, healthOf, healthy } from './health.ts'
import { newSecret } from './signature.ts'
import { addressesOf, readTarget, type TargetPolicy, TargetRefused } from './target.ts'

/** Somebody outside who is told of events. Its secrets are shown once, when they are made, and never again. */
export type Endpoint = {
  readonly id: string
  readonly url: string
  readonly types: readonly string[]
  readonly health: Health
  /** Deliveries that wait. */
  readonly waiting: number
  readonly createdAt: Date
}

/** A database in which endpoints are changed. */
export type WebhookDatabase = AnyDatabase & {
  transaction<R>(run: (tx: AnyTx) => Promise<R>): Promise<R>
}

/** What subscribing is judged by. */
export type EndpointRules = {
  readonly webhook: string
  /** The types that there are, such as `order.confirmed`. */
  readonly types: readonly string[]
  readonly policy: TargetPolicy
}

/** Endpoints of one webhook at most. */
const endpointsMax = 1_000
/** Secrets of one endpoint that are valid at once: each is a signature on every delivery. */
const secretsMax = 3
const resolveMsMax = 3_000

type Row = HealthRow & {
  endpoint_id: string
  url: string
  types: string[]
  waiting: number
  created_at: Date
}

const columns = `endpoint_id, url, types, ${healthColumns}, created_at`
const waitingOf = `(
  select count(*)::int from kit.webhook_deliveries d where d.endpoint_id = e.endpoint_id and d.state = 'waiting') as waiting`

// The lock keeps two that subscribe at once from exceeding what there may be, and lets one of two with one key wait for the other.
const lockWebhook = statement(`select pg_advisory_xact_lock(hashtextextended('webhook ' || $1, 0))`)
type Known = { id: string; hash: string; secret: string | null }
const selectKnown = statement(`
  select endpoint_id as id, request_hash as hash, (
    select secret from kit.webhook_secrets s where s.endpoint_id = e.endpoint_id and s.created_at = e.created_at
      and (s.expires_at is null or s.expires_at > $4)) as secret
  from kit.webhook_endpoints e where webhook = $1 and request_key = $2 and created_at > $3`)
const insert = statement(`
  insert into kit.webhook_endpoints (endpoint_id, webhook, url, types, created_at, request_key, request_hash)
  select $1, $2, $3, $4, $5, $6, $7
  where (select count(*) from kit.webhook_endpoints where webhook = $2) < ${endpointsMax}
  returning 1`)

/** A subscription that was made: the secret that its deliveries are signed with. `replayed`: by an earlier request with this key. */
export type Subscribed = { readonly id: string; readonly secret: string; readonly replayed: boolean }

/**
 * Subscribes a URL to some types. A request that is repeated under the same key within a day makes one endpoint, and hears the same.
 * @throws ServiceError `invalid-argument` for a URL that nothing may be sent to or a type that there is not, `unavailable` where its
 *   name cannot be looked up now, `conflict` where the URL is subscribed already, `failed-precondition` where there are too many
 *   endpoints, `idempotency-key-reused`
 */
export async function subscribe(
  database: WebhookDatabase,
  rules: EndpointRules,
  asked: { readonly url: string; readonly types: readonly string[]; readonly key?: string },
): Promise<Subscribed> {
  const url = await acceptUrl(rules, asked.url)
  const types = acceptTypes(rules, asked.types)
  const { key = null } = asked
  const hash = createHash('sha256')
    .update(JSON.stringify([url, ...types.toSorted()]))
    .digest('base64url')
  return conflicting(() =>
    database.transaction(async (tx) => {
      await tx.query(lockWebhook, [rules.webhook])
      const remembered = new Date(tx.at.getTime() - idempotencyKeptMs)
      const [known] = await tx.query<Known>(selectKnown, [rules.webhook, key, remembered, tx.at])
      if (known) return repeated(known, hash)
      const [id, secret] = [`we_${randomUUID()}`, newSecret()]
      const made = await tx.query(insert, [id, rules.webhook, url, types, tx.at, key, hash])
      if (made.length === 0) {
        throw new ServiceError(
          'failed-precondition',
          `There are ${endpointsMax} endpoints already: delete one that is not needed.`,
        )
      }
      await tx.query(insertSecret, [id, secret, tx.at])
      return { id, secret, replayed: false }
    }),
  )
}

function repeated({ id, hash, secret }: Known, wanted: string): Subscribed {
  if (hash !== wanted) {
    const next = 'This idempotency key stands for a subscription with other contents; use a new one.'
    throw new ServiceError('idempotency-key-reused', next)
  }
  if (secret === null) throw new ServiceError('conflict', `The secret of ${id} was exchanged since: make a new one.`)
  return { id, secret, replayed: true }
}

const selectPage = statement(`
  select ${columns}, ${waitingOf} from kit.webhook_endpoints e
  where webhook = $1 and endpoint_id > $2 order by endpoint_id limit $3`)

/** Endpoints in the order of their ids, those after one. */
export async function listEndpoints(
  database: AnyDatabase,
  webhook: string,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<readonly Endpoint[]> {
  return (await database.query<Row>(selectPage, [webhook, after, limit])).map(endpointOf)
}

const selectOne = statement(`
  select ${columns}, ${waitingOf} from kit.webhook_endpoints e where webhook = $1 and endpoint_id = $2`)
type SecretRow = { created_at: Date; expires_at: Date | null }
const selectSecrets = statement(`
  select created_at, expires_at from kit.webhook_secrets
  where endpoint_id = $1 and (expires_at is null or expires_at > $2) order by number desc`)

/**
 * One endpoint.
 * @throws ServiceError `not-found`
 */
export async function showEndpoint(database: AnyDatabase, webhook: string, id: string): Promise<Endpoint> {
  const [row] = await database.query<Row>(selectOne, [webhook, id])
  if (!row) throw noEndpoint(id)
  return endpointOf(row)
}

/** When the secrets of an endpoint that are valid now were made and end, the newest first; the newest does not end. */
export async function secretsOf(
  database: AnyDatabase,
  id: string,
  now: Date,
): Promise<readonly { readonly createdAt: Date; readonly expiresAt: Date | null }[]> {
  const rows = await database.query<SecretRow>(selectSecrets, [id, now])
  return rows.map(({ created_at, expires_at }) => ({ createdAt: created_at, expiresAt: expires_at }))
}

const update = statement(`
  update kit.webhook_endpoints set url = coalesce($3, url), types = coalesce($4, types)
  where webhook = $1 and endpoint_id = $2 returning 1`)
const pauseAsked = statement(`
  update kit.webhook_endpoints set state = 'paused', reason = 'asked', probe_at = null
  where webhook = $1 and endpoint_id = $2 and state <> 'disabled'`)
const resume = statement(`
  update kit.webhook_endpoints
  set state = '${healthy.state}', reason = '', failures = 0, failing_since = null, probe_at = null, probes = 0
  where webhook = $1 and endpoint_id = $2 and state <> 'active'`)

/**
 * Changes an endpoint. `paused: false` resumes one however it came to stand still; what waited is delivered then.
 * @throws ServiceError `not-found`, and as `subscribe`
 */
export async function changeEndpoint(
  database: WebhookDatabase,
  rules: EndpointRules,
  id: string,
  change: {
    readonly url?: string | undefined
    readonly types?: readonly string[] | undefined
    readonly paused?: boolean | undefined
  },
): Promise<void> {
  const url = change.url === undefined ? null : await acceptUrl(rules, change.url)
  const types = change.types === undefined ? null : acceptTypes(rules, change.types)
  await conflicting(() =>
    database.transaction(async (tx) => {
      if ((await tx.query(update, [rules.webhook, id, url, types])).length === 0) throw noEndpoint(id)
      if (change.paused !== undefined) await tx.query(change.paused ? pauseAsked : resume, [rules.webhook, id])
      tx.afterCommit(() => database.signal(rules.webhook))
    }),
  )
}

const disable = statement(`
  update kit.webhook_endpoints set state = 'disabled', reason = 'asked', probe_at = null
  where webhook = $1 and endpoint_id = $2 returning 1`)
const removeSome = statement(`
  delete from kit.webhook_deliveries where ctid = any(array(
    select ctid from kit.webhook_deliveries where endpoint_id = $1 limit 5000))
  returning 1`)
const remove = statement(`delete from kit.webhook_endpoints where webhook = $1 and endpoint_id = $2`)

/**
 * Forgets an endpoint, with what was and is to be delivered to it. An attempt under way still arrives. It is disabled first and goes
 * last: a month of deliveries in one statement would take too long, and hold whoever tells. Cut short, it is asked again.
 * @throws ServiceError `not-found`
 */
export async function deleteEndpoint(database: AnyDatabase, webhook: string, id: string): Promise<void> {
  if ((await database.query(disable, [webhook, id])).length === 0) throw noEndpoint(id)
  while ((await database.query(removeSome, [id])).length > 0);
  await database.query(remove, [webhook, id])
}

const insertSecret = statement(`insert into kit.webhook_secrets (endpoint_id, secret, created_at) values ($1, $2, $3)`)
const lockEndpoint = statement(`
  select from kit.webhook_endpoints where webhook = $1 and endpoint_id = $2 for update`)
// What would have ended before ends then all the same.
const expireOlder = statement(`
  update kit.webhook_secrets set expires_at = least(expires_at, $2) where endpoint_id = $1 and (expires_at is null or expires_at > $2)`)
const deleteExpired = statement(`delete from kit.webhook_secrets where endpoint_id = $1 and expires_at <= $2`)
const countSecrets = statement(`select count(*)::int as valid from kit.webhook_secrets where endpoint_id = $1`)

/**
 * Makes a new secret. Until `overlapMs` from now deliveries are signed with the older ones as well, so that no receiver
 * has to change at one moment. With 0 they end at once: for a secret that others may know.
 * @throws ServiceError `not-found`, or `failed-precondition` where too many are valid
 */
export async function rotateSecret(
  database: WebhookDatabase,
  webhook: string,
  id: string,
  overlapMs: number,
): Promise<{ readonly secret: string; readonly olderEndAt: Date }> {
  const secret = newSecret()
  return database.transaction(async (tx) => {
    if ((await tx.query(lockEndpoint, [webhook, id])).length === 0) throw noEndpoint(id)
    const olderEndAt = new Date(tx.at.getTime() + overlapMs)
    await tx.query(expireOlder, [id, olderEndAt])
    await tx.query(deleteExpired, [id, tx.at])
    const [count] = await tx.query<{ valid: number }>(countSecrets, [id])
    if ((count?.valid ?? 0) >= secretsMax) {
      throw new ServiceError(
        'failed-precondition',
        `${secretsMax} secrets are valid already: wait until one ends, or end them at once.`,
      )
    }
    await tx.query(insertSecret, [id, secret, tx.at])
    return { secret, olderEndAt }
  })
}

/** Nothing has this id. */
export function noEndpoint(id: string): ServiceError {
  return notFound(`There is no endpoint ${id.slice(0, 64)}.`)
}

/** The URL as it will be asked, and now leads outside. */
async function acceptUrl({ policy }: EndpointRules, text: string): Promise<string> {
  try {
    const url = readTarget(policy, text)
    await withDeadline(resolveMsMax, (signal) => addressesOf(policy, url, signal))
    return url.href
  } catch (thrown) {
    if (thrown instanceof ServiceError) throw thrown
    if (!(thrown instanceof TargetRefused)) {
      throw new ServiceError('unavailable', 'The name of the URL cannot be looked up now.', { cause: thrown })
    }
    throw invalidArgument(thrown.message, { field: 'url', code: thrown.code, message: thrown.message })
  }
}

function acceptTypes({ types }: EndpointRules, asked: readonly string[]): readonly string[] {
  const unknown = asked.filter((type) => !types.includes(type))
  if (asked.length > 0 && unknown.length === 0) return [...new Set(asked)]
  const message = `There are the types ${types.join(', ')}.`
  throw invalidArgument(message, { field: 'types', code: 'unknown', message })
}

async function conflicting<R>(run: () => Promise<R>): Promise<R> {
  try {
    return await run()
  } catch (thrown) {
    if (!violates(thrown, 'webhook_endpoints_url')) throw thrown
    throw new ServiceError(
      'conflict',
      'This URL is subscribed already: change that endpoint, or make a new secret for it.',
    )
  }
}

function endpointOf(row: Row): Endpoint {
  return {
    id: row.endpoint_id,
    url: row.url,
    types: row.types,
    health: healthOf(row),
    waiting: row.waiting,
    createdAt: row.created_at,
  }
}
