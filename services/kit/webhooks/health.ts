import type { AttemptError } from './attempt.ts'

/** Whether deliveries go to an endpoint now, and why not. */
export type Health = {
  readonly state: 'active' | 'paused' | 'disabled'
  /** Empty while it is active. `asked`: by its owner, who alone ends it. */
  readonly reason: '' | 'asked' | 'failing' | 'gone'
  /** Failed attempts in a row. */
  readonly failures: number
  readonly failingSince: Date | null
  /** While it is paused because it fails: when one delivery is let through to see. */
  readonly probeAt: Date | null
  /** How often that was in vain. */
  readonly probes: number
}

/** The columns of an endpoint that tell its health. */
export const healthColumns = 'state, reason, failures, failing_since, probe_at, probes'

/** What they hold. */
export type HealthRow = Pick<Health, 'state' | 'reason' | 'failures' | 'probes'> & {
  readonly failing_since: Date | null
  readonly probe_at: Date | null
}

/** The health that a row tells. */
export function healthOf({ state, reason, failures, failing_since, probe_at, probes }: HealthRow): Health {
  return { state, reason, failures, failingSince: failing_since, probeAt: probe_at, probes }
}

/** Failed attempts in a row that pause an endpoint. */
export const failuresMax = 10
/** The first look at a paused endpoint comes after this long, each further one after twice the time, up to the maximum. */
export const probeBaseMs = 60_000
export const probeMsMax = 3_600_000
/** An endpoint that has failed for this long is disabled: from then on nothing is kept for it. */
export const disableAfterMs = 5 * 86_400_000

/** An endpoint of which nothing bad is known. */
export const healthy: Health = {
  state: 'active',
  reason: '',
  failures: 0,
  failingSince: null,
  probeAt: null,
  probes: 0,
}

/** An endpoint after a delivery that arrived: one that was paused for failing is open again. Its owner's wish stays. */
export function afterSuccess(health: Health): Health {
  const { state, reason } = health
  return reason === '' || reason === 'failing' ? healthy : { ...healthy, state, reason }
}

/** An endpoint after a failed attempt. */
export function afterFailure(health: Health, error: AttemptError, now: Date): Health {
  // That one is about a process of ours.
  if (error === 'attempts-used-up') return health
  const failures = health.failures + 1
  const failingSince = health.failingSince ?? now
  const counted = { ...health, failures, failingSince }
  if (health.state === 'disabled') return counted
  if (error === 'gone') return { ...counted, state: 'disabled', reason: 'gone', probeAt: null }
  if (health.reason === 'asked') return counted
  if (now.getTime() - failingSince.getTime() >= disableAfterMs) {
    return { ...counted, state: 'disabled', reason: 'failing', probeAt: null }
  }
  if (failures < failuresMax) return counted
  // What was under way when it was paused is no probe, and says nothing new.
  if (health.state === 'paused' && health.probeAt && health.probeAt > now) return counted
  const waitMs = Math.min(probeBaseMs * 2 ** health.probes, probeMsMax)
  return {
    ...counted,
    state: 'paused',
    reason: 'failing',
    probeAt: new Date(now.getTime() + waitMs),
    probes: health.probes + 1,
  }
}
