import { pause } from '../app/pause.ts'
import { type AnyDatabase, type Session, statement } from '../store/database.ts'
import type { Log } from '../telemetry/log.ts'

/** The right to relay. One replica holds it; the epoch grows with each holder, and old ones are refused. */
export type Lease = {
  readonly epoch: bigint
  /** False once the time that was granted has passed on this process's own clock, even if it slept in between. */
  valid(): boolean
}

export type LeaseKeeper = {
  /** The lease, if this process holds it now. */
  current(): Lease | undefined
  /** Gives up a lease that turned out to be another's. */
  fenced(lease: Lease): void
  /** Tells the holder in another process that there is something to send; many calls make one notification. */
  notifyHolder(): void
  /** Lets another replica have the lease at once. */
  close(): Promise<void>
}

export type LeaseOptions = {
  /** How long a grant lasts. It is renewed after a third. Default 5,000. */
  readonly leaseMs?: number
  /** How often a waiting replica asks for it. Default 250. */
  readonly askEveryMs?: number
  readonly onHeld: () => void
  /** Another process has something to send. */
  readonly onNotified: () => void
}

const channel = 'parley_outbox'
const reconnectMs = 500

// A holder whose connection is gone has ended: nobody waits for the rest of its time.
const acquire = statement(`
  insert into kit.relay as held (name, epoch, holder_pid, holder_started, expires_at)
  select 'outbox', 1, pid, backend_start, clock_timestamp() + $1::float * interval '1 ms'
  from pg_stat_activity where pid = pg_backend_pid()
  on conflict (name) do update
    set epoch = held.epoch + 1, holder_pid = excluded.holder_pid, holder_started = excluded.holder_started,
        expires_at = excluded.expires_at
    where held.expires_at < clock_timestamp() or not exists (
      select from pg_stat_activity where pid = held.holder_pid and backend_start = held.holder_started)
  returning epoch`)
const renew = statement(`
  update kit.relay set expires_at = clock_timestamp() + $1::float * interval '1 ms'
  where name = 'outbox' and epoch = $2 returning epoch`)
const release = statement(`update kit.relay set expires_at = '-infinity' where name = 'outbox' and epoch = $1`)
const notify = statement(`select pg_notify('${channel}', '')`)

/** Asks for the lease until it has it, and keeps it, on a connection of its own. */
export function keepLease(database: AnyDatabase, log: Log, options: LeaseOptions): LeaseKeeper {
  const { leaseMs = 5_000, askEveryMs = 250, onHeld, onNotified } = options
  const closing = new AbortController()
  let lease: Lease | undefined
  let notifying: Promise<unknown> | undefined

  const warn = (error: unknown) => log.warn('The connection that holds the outbox lease was lost.', { error })
  const attend = async (session: Session) => {
    session.client.on('notification', onNotified)
    await session.query({ text: `listen ${channel}` })
    while (!closing.signal.aborted) {
      const askedMs = performance.now()
      const { name, text } = lease ? renew : acquire
      const values = lease ? [leaseMs, lease.epoch] : [leaseMs]
      const { rows } = await session.query({ name, text, values })
      const epoch: bigint | undefined = rows[0]?.epoch
      const before = lease
      lease = epoch === undefined ? undefined : { epoch, valid: () => performance.now() < askedMs + leaseMs }
      if (before && !lease) log.warn('The outbox is relayed by another replica now.', { epoch: String(before.epoch) })
      if (lease && !before) onHeld()
      await pause(lease ? leaseMs / 3 : askEveryMs, closing.signal)
    }
    if (lease) await session.query({ ...release, values: [lease.epoch] })
  }
  const running = (async () => {
    while (!closing.signal.aborted) {
      const session = await database.session().catch((error: unknown) => void warn(error))
      if (session) {
        await attend(session).catch(warn)
        session.client.off('notification', onNotified)
        session.release(true)
      }
      lease = undefined
      await pause(reconnectMs, closing.signal)
    }
  })()

  return {
    current: () => (lease?.valid() ? lease : undefined),
    fenced(stale) {
      if (lease?.epoch === stale.epoch) lease = undefined
    },
    notifyHolder() {
      notifying ??= database
        .query(notify)
        // Whoever relays also looks by itself, so a lost notification costs a moment only.
        .catch(warn)
        .finally(() => {
          notifying = undefined
        })
    },
    async close() {
      closing.abort()
      await running
      await notifying
    },
  }
}
