import type { PlannedExposure } from '#plan/plan.ts'

/** How long a stranger may take to send a whole request: as long as it is waited for, and a stream of requests as long as it may live. */
export function receiveMsMax(exposures: readonly PlannedExposure[]): number {
  return Math.max(
    ...exposures.flatMap(({ deadlineMs, streamDeadlineMs, methods }) =>
      methods.some(({ streamsIn }) => streamsIn) ? [deadlineMs, streamDeadlineMs] : [deadlineMs],
    ),
  )
}
