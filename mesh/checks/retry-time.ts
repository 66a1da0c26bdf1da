import { type ResolvedCall, type ResolvedRetry, resolveCall, resolveReach } from '#graph/defaults.ts'
import { allEdges } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { count, ms } from './text.ts'
import { attemptsToWait, waitCeilingsMs } from './waits.ts'

/** Below it an attempt ends before most callees can answer. */
const perTryMinMs = 10
const shortBackoff = { baseMs: 25, maxMs: 250 }

/** All attempts fit into the deadline. */
export const retryTime = rule({
  code: 'PLY106',
  title: 'All attempts fit into the deadline',
  why: 'An attempt for which no time is left is load without a chance of an answer, and makes an outage look like a slow callee.',
  reference: 'Site Reliability Engineering, chapter 22, "Retries" and "Latency and Deadlines"',
  check: (system) => [
    ...allEdges(system, 'calls').flatMap(({ service, edge }) =>
      breaches(service.name, `→ ${edge.api.name}.${edge.methods.join(',')}`, resolveCall(edge.policy)),
    ),
    ...allEdges(system, 'reaches').flatMap(({ service, edge }) =>
      breaches(service.name, `→ external ${edge.external.name}`, resolveReach(edge)),
    ),
  ],
})

function breaches(name: string, label: string, policy: ResolvedCall): Breach[] {
  const { deadlineMs, retry } = policy
  if (!retry || !(retry.attempts > 1)) return []
  const where = { path: [name, label], owners: [serviceOwner({ name })] }
  const triesMs = retry.attempts * retry.perTryTimeoutMs
  const waitsMs = waitCeilingsMs(retry.attempts, retry.backoff)
  const cost = `Worst-case wait without the deadline: ${ms(triesMs + waitsMs)}; it is cut off at ${ms(deadlineMs)}.`
  if (triesMs > deadlineMs) {
    return [
      {
        ...where,
        message: `${retry.attempts} attempts of ${ms(retry.perTryTimeoutMs)} take ${ms(triesMs)}, and the deadline is ${ms(deadlineMs)}.`,
        cost,
        mend: mendTries(policy, retry),
      },
    ]
  }
  if (waitsMs < deadlineMs) return []
  return [
    {
      ...where,
      message: `The waits between ${retry.attempts} attempts may take ${ms(waitsMs)}, and the deadline is ${ms(deadlineMs)}.`,
      cost,
      mend: mendWaits(policy, retry),
    },
  ]
}

/** The change that makes the tries fit. An attempt of a few milliseconds fails by itself, so then there are fewer. */
function mendTries({ deadlineMs }: ResolvedCall, { attempts, perTryTimeoutMs }: ResolvedRetry): string {
  const fitsMs = Math.floor(deadlineMs / attempts)
  const longer = `\`deadlineMs\` to at least ${count(attempts * perTryTimeoutMs)}`
  if (fitsMs >= perTryMinMs) return `Set \`retry.perTryTimeoutMs\` to at most ${count(fitsMs)}, or ${longer}.`
  return `${fewer(Math.floor(deadlineMs / perTryTimeoutMs))}, or set ${longer}.`
}

/** The change that makes the waits fit: the default backoff if that is short enough, otherwise fewer attempts. */
function mendWaits({ deadlineMs }: ResolvedCall, { attempts, backoff }: ResolvedRetry): string {
  const longer = `raise \`deadlineMs\` above ${count(waitCeilingsMs(attempts, backoff))}`
  if (waitCeilingsMs(attempts, shortBackoff) < deadlineMs) {
    return `Set \`retry.backoff\` to \`{ baseMs: 25, maxMs: 250 }\`, or ${longer}.`
  }
  return `${fewer((attemptsToWait(deadlineMs, backoff, Math.min(attempts, 1_000)) ?? 1) - 1)}, or ${longer}.`
}

function fewer(attemptsMax: number): string {
  return attemptsMax > 1 ? `Set \`retry.attempts\` to at most ${count(attemptsMax)}` : 'Take `retry` off'
}
