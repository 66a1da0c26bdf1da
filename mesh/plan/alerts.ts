/** What somebody must be told of, by the declaration's objectives and edges. Providers of alerting render these. */
export type Alert =
  | {
      readonly kind: 'availability-burn'
      readonly service: string
      readonly objective: number
      readonly windowMinutes: number
      readonly burnRate: number
      readonly severity: Severity
    }
  | { readonly kind: 'latency'; readonly service: string; readonly p99Ms: number; readonly severity: Severity }
  | {
      readonly kind: 'consumer-lag'
      readonly service: string
      readonly topic: string
      readonly group: string
      readonly recordsMax: number
      readonly severity: Severity
    }
  | {
      readonly kind: 'dead-letter'
      readonly service: string
      readonly destination: string
      readonly severity: Severity
    }
  | { readonly kind: 'outbox-age'; readonly service: string; readonly ageMsMax: number; readonly severity: Severity }
  | { readonly kind: 'breaker-open'; readonly from: string; readonly to: string; readonly severity: Severity }
  | {
      readonly kind: 'saga-stuck'
      readonly saga: string
      readonly service: string
      readonly timeoutMs: number
      readonly severity: Severity
    }

/** Whether somebody is woken, or reads it in the morning. */
export type Severity = 'page' | 'ticket'
