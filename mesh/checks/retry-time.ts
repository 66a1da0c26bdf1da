import { type ResolvedCall, type ResolvedRetry, resolveCall, resolveReach } from '#graph/defaults.ts'
import { allEdges } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { count, ms } from './text.ts'

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

function breaches(name: string, label: string, { deadlineMs, retry }: ResolvedCall): Breach[] {
  if (!retry || !(retry.attempts > 1)) return []
  const where = { path: [name, label], owners: [serviceOwner({ name })] }
  const triesMs = retry.attempts * retry.perTryTimeoutMs
  const waitsMs = backoffCeilingsMs(retry)
  const cost = `Worst-case wait without the deadline: ${ms(triesMs + waitsMs)}; it is cut off at ${ms(deadlineMs)}.`
  if (triesMs > deadlineMs) {
    const fits = Math.floor(deadlineMs / retry.attempts)
    return [
      {
        ...where,
        message: `${retry.attempts} attempts of ${ms(retry.perTryTimeoutMs)} take ${ms(triesMs)}, and the deadline is ${ms(deadlineMs)}.`,
        cost,
        mend: `Set \`retry.perTryTimeoutMs\` to at most ${count(fits)}, or \`deadlineMs\` to at least ${count(triesMs)}.`,
      },
    ]
  }
  if (waitsMs < deadlineMs) return []
  return [
    {
      ...where,
      message: `The waits between ${retry.attempts} attempts may take ${ms(waitsMs)}, and the deadline is ${ms(deadlineMs)}.`,
      cost,
      mend: `Set \`retry.backoff\` to \`{ baseMs: 25, maxMs: 250 }\`, or raise \`deadlineMs\` above ${count(waitsMs)}.`,
    },
  ]
}

/** The longest waits that the jitter may draw. Its mean is half of it, its least nothing. */
function backoffCeilingsMs({ attempts, backoff }: ResolvedRetry): number {
  let sumMs = 0
  for (let retried = 0; retried < Math.min(attempts - 1, 1_000); retried += 1) {
    sumMs += Math.min(backoff.maxMs, backoff.baseMs * 2 ** retried)
  }
  return sumMs
}
