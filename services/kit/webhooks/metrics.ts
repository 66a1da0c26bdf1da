import { type AnyDatabase, statement } from '../store/database.ts'
import { metric } from '../telemetry/semantics.ts'
import { gauge } from '../telemetry/telemetry.ts'

// A receiver that is slow keeps its own deliveries waiting. What waits though nobody is at it is ours.
type OldestRow = { seconds: number }
const selectOldest = statement(`
  select coalesce(extract(epoch from $2::timestamptz - min(d.next_at)), 0)::float as seconds
  from kit.webhook_deliveries d join kit.webhook_endpoints e using (endpoint_id)
  where d.webhook = $1 and d.state = 'waiting' and e.state = 'active' and not exists (
    select from kit.webhook_deliveries u where u.endpoint_id = e.endpoint_id and u.leased_until > $2)`)
type StateRow = { state: string; endpoints: number }
const selectStates = statement(`
  select state, count(*)::int as endpoints from kit.webhook_endpoints where webhook = $1 group by state`)

/** Shows how late deliveries are, and how many endpoints stand still. Answers how to end it. */
export function watchWebhooks(database: AnyDatabase, webhook: string, clock: () => Date): () => void {
  const forgetLateness = gauge(metric.webhookLateness, 's', async () => {
    const [row] = await database.query<OldestRow>(selectOldest, [webhook, clock()])
    return [{ value: Math.max(0, row?.seconds ?? 0), attributes: { webhook } }]
  })
  const forgetEndpoints = gauge(metric.webhookEndpoints, '1', async () => {
    const rows = await database.query<StateRow>(selectStates, [webhook])
    const found = new Map(rows.map(({ state, endpoints }) => [state, endpoints]))
    return ['active', 'paused', 'disabled'].map((state) => ({
      value: found.get(state) ?? 0,
      attributes: { webhook, state },
    }))
  })
  return () => {
    forgetLateness()
    forgetEndpoints()
  }
}
