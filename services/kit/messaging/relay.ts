import { type Bell, createBell } from '../app/bell.ts'
import { pause } from '../app/pause.ts'
import { type AnyDatabase, statement } from '../store/database.ts'
import { prepared } from '../store/transaction.ts'
import type { Log } from '../telemetry/log.ts'
import { metric } from '../telemetry/semantics.ts'
import { counter, gauge, type Reading } from '../telemetry/telemetry.ts'
import { type OutboxRow, outboxSignal } from './outbox.ts'
import { keepLease, type Lease, type LeaseKeeper, type LeaseOptions } from './relay-lease.ts'

/** A row as it waits in the table. */
export type WaitingRow = Omit<OutboxRow, 'kind' | 'destination'> & { readonly rowId: bigint }

/** What came of sending some rows. Rows in neither list stay and are sent again. */
export type Sent = {
  /** Acknowledged by the broker. */
  readonly acknowledged: readonly bigint[]
  /** Never to be taken, whatever happens: they are set aside with the reason. */
  readonly refused: readonly { readonly rowId: bigint; readonly reason: string }[]
  /** Why not all were sent. */
  readonly failure?: unknown
}

/** Where rows go. A destination that is down holds up its own rows only. */
export type Destination = Pick<OutboxRow, 'kind' | 'destination'> & {
  /** Sends rows in their order; rejects where nothing is known to have been taken. */
  send(rows: readonly WaitingRow[]): Promise<Sent>
}

export type RelayOptions = Pick<LeaseOptions, 'leaseMs' | 'askEveryMs'> & {
  /** Rows of one round. Default 500. */
  readonly batchMax?: number
  /** How often a destination is looked at without being told to. Default 1,000. */
  readonly pollMs?: number
}

export type Relay = {
  /** Whether this process is the one that sends. */
  active(): boolean
  /** Ends after the rounds under way; what is left is sent by another replica, or after the next start. */
  close(): Promise<void>
}

const backoff = { firstMs: 100, maxMs: 5_000 } as const
const roundBytesMax = 4_194_304
const closeMsMax = 3_000
/** How long what was sent may wait to be deleted with the next reading, which saves each round a transaction. A crash repeats it. */
const settleMs = 200

const selectRows = statement(`
  select "rowId", id, key, headers, payload
  from (
    select id as "rowId", event_id as id, key, headers, payload,
      sum(octet_length(payload)) over (order by id rows unbounded preceding) - octet_length(payload) as before
    from (
      select * from kit.outbox where kind = $1 and destination = $2 and refused is null order by id limit $3
    ) as head
  ) as sized
  where before < ${roundBytesMax}
  order by "rowId"`)

// Under an epoch that is no longer the newest, nothing is deleted or set aside. Nobody waits for the disk: rows that come
// back after a crash of the server are sent again, as after any crash.
const deleteRows = statement(`
  with unhurried as materialized (select set_config('synchronous_commit', 'off', true)), deleted as (
    delete from kit.outbox
    where id = any($1::bigint[]) and exists (select from kit.relay where name = 'outbox' and epoch = $2)
    returning 1
  )
  select from deleted, unhurried`)
const refuseRow = statement(`
  update kit.outbox set refused = $2
  where id = $1 and exists (select from kit.relay where name = 'outbox' and epoch = $3)
  returning event_id as id, key`)

/**
 * Carries what the outbox holds to the brokers. One replica of a service does it at a time, under a lease; it sends outside
 * any transaction and deletes what was acknowledged as it reads on, so that nothing is lost and a crash repeats what was sent
 * within a moment. Rows go in the order of their ids. Because rows are deleted, and no position is remembered, a
 * transaction that commits late is found whenever it does.
 *
 * A relay that slept while another took over may still send the round it had read. Those are repeats of what its successor
 * sends, in the same order, so the first sight of every event keeps the order; it can delete nothing.
 */
export function startRelay(
  database: AnyDatabase,
  destinations: readonly Destination[],
  log: Log,
  options: RelayOptions = {},
): Relay {
  const lanes = destinations.map((destination) => ({ destination, bell: createBell() }))
  const ringAll = () => {
    for (const { bell } of lanes) bell.ring()
  }
  const lease = keepLease(database, log, { ...options, onHeld: ringAll, onNotified: ringAll })
  const closing = new AbortController()
  const unsubscribe = lanes.map(({ destination, bell }) =>
    database.onSignal(outboxSignal(destination), () => (lease.current() ? bell.ring() : lease.notifyHolder())),
  )
  const running = lanes.map(({ destination, bell }) =>
    runLane({ database, destination, bell, lease, log, options, signal: closing.signal }),
  )
  const forget = observe(database, destinations, lease)
  return {
    active: () => lease.current() !== undefined,
    async close() {
      closing.abort()
      ringAll()
      for (const off of unsubscribe) off()
      forget()
      // A broker that does not answer must not hold up the end of the process: what was under way is sent again.
      const limit = new AbortController()
      await Promise.race([Promise.all(running), pause(closeMsMax, limit.signal)])
      limit.abort()
      await lease.close()
    },
  }
}

type Lane = {
  readonly database: AnyDatabase
  readonly destination: Destination
  readonly bell: Bell
  readonly lease: LeaseKeeper
  readonly log: Log
  readonly options: RelayOptions
  readonly signal: AbortSignal
}

/** What was sent under a lease and is not deleted yet. */
type Settling = { readonly epoch: bigint; readonly rowIds: readonly bigint[] }

async function runLane({ bell, lease, log, options, signal, ...lane }: Lane): Promise<void> {
  const { pollMs = 1_000, batchMax = 500 } = options
  const { kind, destination } = lane.destination
  let failures = 0
  let settling: Settling = { epoch: 0n, rowIds: [] }
  while (!signal.aborted) {
    const held = lease.current()
    if (!held) {
      await bell.wait(pollMs)
      continue
    }
    // Under another lease somebody else may have sent and deleted them since.
    if (settling.epoch !== held.epoch) settling = { epoch: held.epoch, rowIds: [] }
    try {
      const rows = await readOn(lane, settling, batchMax)
      settling = { ...settling, rowIds: [] }
      // The reading may have taken long, or the process slept: another replica may be sending by now.
      const sent = rows && held.valid() ? await sendRows({ ...lane, log }, held, rows) : 'fenced'
      if (!rows || sent === 'fenced') {
        lease.fenced(held)
        continue
      }
      const { failure, acknowledged } = sent
      settling = { ...settling, rowIds: acknowledged }
      if (failure !== undefined) throw failure
      if (failures > 0) log.info(`The outbox reaches ${kind} ${destination} again.`, { failures })
      failures = 0
      // Whatever was committed since has rung the bell.
      if (!isFull(rows, batchMax)) await bell.wait(acknowledged.length > 0 ? Math.min(settleMs, pollMs) : pollMs)
    } catch (error) {
      if (failures === 0) log.warn(`The outbox cannot reach ${kind} ${destination}; it keeps trying.`, { error })
      await pause(Math.min(backoff.maxMs, backoff.firstMs * 2 ** failures) * (0.5 + Math.random() / 2), signal)
      failures += 1
    }
  }
  if (settling.rowIds.length === 0) return
  await lane.database
    .query(deleteRows, [settling.rowIds, settling.epoch])
    .catch((error: unknown) =>
      log.warn('What was sent could not be deleted from the outbox; it is sent again.', { kind, destination, error }),
    )
}

/** Deletes what was sent, and reads what comes next, in one round trip and one transaction; undefined where the lease is another's. */
async function readOn(
  { database, destination: { kind, destination } }: Pick<Lane, 'database' | 'destination'>,
  { epoch, rowIds }: Settling,
  batchMax: number,
): Promise<readonly WaitingRow[] | undefined> {
  const values = [kind, destination, batchMax]
  if (rowIds.length === 0) return database.query<WaitingRow>(selectRows, values)
  const session = await database.session()
  try {
    const both = [prepared(deleteRows, [rowIds, epoch]), prepared(selectRows, values)]
    const [deleted, found] = await session.queries(both)
    return deleted?.rowCount === 0 ? undefined : found?.rows
  } finally {
    session.release()
  }
}

/** Sends rows, and sets aside what will never be taken; `fenced` where the lease turns out to be another's. */
async function sendRows(
  { database, destination, log }: Pick<Lane, 'database' | 'destination' | 'log'>,
  lease: Lease,
  rows: readonly WaitingRow[],
): Promise<Omit<Sent, 'refused'> | 'fenced'> {
  if (rows.length === 0) return { acknowledged: [] }
  const { refused, ...sent } = await destination.send(rows)
  counter(metric.messagingSent).add(sent.acknowledged.length, { destination: destination.destination })
  for (const { rowId, reason } of refused) {
    const [row] = await database.query<Pick<WaitingRow, 'id' | 'key'>>(refuseRow, [rowId, reason, lease.epoch])
    if (!row) return 'fenced'
    counter(metric.outboxRefused).add(1, { destination: destination.destination })
    log.error('The broker will never take this message; it is set aside in kit.outbox, and later ones go on.', {
      ...row,
      rowId: String(rowId),
      kind: destination.kind,
      destination: destination.destination,
      reason,
    })
  }
  return sent
}

/** Whether the limits of a round may have left rows behind. */
function isFull(rows: readonly WaitingRow[], batchMax: number): boolean {
  return rows.length >= batchMax || rows.reduce((sum, { payload }) => sum + payload.length, 0) >= roundBytesMax
}

const selectDepth = statement(`
  select lanes.kind, lanes.destination,
    (select count(*) from (
      select from kit.outbox where kind = lanes.kind and destination = lanes.destination and refused is null limit 100000
    ) as counted) as depth,
    (select extract(epoch from clock_timestamp() - created_at)::float from kit.outbox
      where kind = lanes.kind and destination = lanes.destination and refused is null order by id limit 1) as age
  from unnest($1::text[], $2::text[]) as lanes (kind, destination)`)

type DepthRow = {
  readonly kind: string
  readonly destination: string
  readonly depth: bigint
  readonly age: number | null
}

/** Only the replica that relays reports, so that a sum over replicas is right. */
function observe(database: AnyDatabase, destinations: readonly Destination[], lease: LeaseKeeper): () => void {
  const values = [destinations.map(({ kind }) => kind), destinations.map(({ destination }) => destination)]
  const read = async (value: (row: DepthRow) => number): Promise<Reading[]> => {
    if (!lease.current()) return []
    const rows = await database.query<DepthRow>(selectDepth, values)
    return rows.map((row) => ({ value: value(row), attributes: { destination: row.destination, kind: row.kind } }))
  }
  const forget = [
    gauge(metric.outboxDepth, '1', () => read(({ depth }) => Number(depth))),
    gauge(metric.outboxAge, 's', () => read(({ age }) => age ?? 0)),
  ]
  return () => {
    for (const off of forget) off()
  }
}
