import { type AnyTx, statement } from '../store/database.ts'

/** What waits to leave this service: a record for a Kafka topic, or a task for a RabbitMQ queue. */
export type OutboxRow = {
  readonly kind: 'topic' | 'queue'
  /** The topic's or the queue's name. */
  readonly destination: string
  readonly id: string
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload: Buffer
}

/** The signal that rows for a destination were committed. */
export function outboxSignal({ kind, destination }: Pick<OutboxRow, 'kind' | 'destination'>): string {
  return `outbox ${kind} ${destination}`
}

const waiting = new WeakMap<AnyTx, OutboxRow[]>()

/**
 * Puts a message into the outbox: it leaves if and only if the transaction commits.
 *
 * The rows are written all at once as the transaction's last statement. Two transactions that change one aggregate are
 * ordered by its locks, and the later one gets to its last statement only after the first has committed, so the ids of
 * the rows follow the order of the commits for every aggregate. A sequence alone would not: numbers are drawn early.
 */
export function enqueue(tx: AnyTx, row: OutboxRow): void {
  const rows = waiting.get(tx)
  if (rows) {
    rows.push(row)
    return
  }
  const first = [row]
  waiting.set(tx, first)
  tx.lastly(insert, () => columnsOf(first))
  tx.afterCommit(() => {
    for (const signal of new Set(first.map(outboxSignal))) tx.database.signal(signal)
  })
}

const insert = statement(`
  insert into kit.outbox (kind, destination, event_id, key, headers, payload)
  select kind, destination, event_id, key, headers::json, payload
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
    with ordinality as rows (kind, destination, event_id, key, headers, payload, number)
  order by number`)

function columnsOf(rows: readonly OutboxRow[]): readonly unknown[] {
  return [
    rows.map((row) => row.kind),
    rows.map((row) => row.destination),
    rows.map((row) => row.id),
    rows.map((row) => row.key),
    rows.map((row) => JSON.stringify(row.headers)),
    rows.map((row) => row.payload),
  ]
}
