import { type ResolvedCall, resolveReach } from '#graph/defaults.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName, edgesOf, type Hop, hopsOf, streams } from './edges.ts'
import { type Breach, exposureOwner, type Owner, rule, serviceOwner } from './rule.ts'
import { count, ms } from './text.ts'

/** Who waits for a service, and how long one attempt of it lasts. */
type Waiter = { path: readonly string[]; callee: string; name: string; waitMs: number; word: string; owner: Owner }

/** What a service itself waits for. */
type Wait = { label: string; waitMs: number; word: string }

/** A callee gives up before its caller does. */
export const deadlineInversion = rule({
  code: 'PLY105',
  title: 'A callee gives up before its caller',
  why: 'A callee that waits longer than its caller works for nobody: the caller has answered with an error, the work goes on, and the fallback or error of the callee is never seen.',
  reference: 'Site Reliability Engineering, chapter 22, "Latency and Deadlines"',
  check: (system) => {
    // A stream's deadline is how long it may live: nobody waits for its end, and it ends with its caller.
    const hops = hopsOf(system).filter(({ edge }) => !streams(edge))
    return [...callers(hops), ...outside(system)].flatMap((waiter) => inversions(system, hops, waiter))
  },
})

function callers(hops: readonly Hop[]): Waiter[] {
  return hops.map((hop) => ({
    path: [hop.from.name, hop.label],
    callee: hop.to.name,
    name: hop.from.name,
    waitMs: attemptMs(hop.policy),
    word: hop.policy.retry ? 'perTryTimeoutMs' : 'deadlineMs',
    owner: serviceOwner(hop.from),
  }))
}

function outside(system: SystemNode): Waiter[] {
  return byName(system.exposures).map((exposure) => ({
    path: [`exposure ${exposure.name}`, exposure.service.name],
    callee: exposure.service.name,
    name: `exposure ${exposure.name}`,
    waitMs: exposure.deadlineMs,
    word: 'deadlineMs',
    owner: exposureOwner(exposure),
  }))
}

function inversions(system: SystemNode, hops: readonly Hop[], waiter: Waiter): Breach[] {
  return waitsOf(system, hops, waiter.callee)
    .filter((wait) => wait.waitMs >= waiter.waitMs)
    .map((wait) => ({
      path: [...waiter.path, wait.label],
      message: `${waiter.callee} may wait ${ms(wait.waitMs)} (${wait.label}) for a caller that waits ${ms(waiter.waitMs)} for one attempt (${waiter.name}).`,
      cost: `Up to ${ms(wait.waitMs - waiter.waitMs)} of work a request for a caller that is gone.`,
      mend: `Lower \`${wait.word}\` of ${waiter.callee} ${wait.label} below ${count(waiter.waitMs)}, or raise \`${waiter.word}\` of ${waiter.name} towards ${waiter.callee} above ${count(wait.waitMs)}.`,
      owners: [waiter.owner, serviceOwner({ name: waiter.callee })],
    }))
}

/** Slow externals are a finding of their own, and what TCP clients wait for is not the mesh's to bound. */
function waitsOf(system: SystemNode, hops: readonly Hop[], name: string): Wait[] {
  const services = system.services.filter((service) => service.name === name)
  const calls = hops
    .filter((hop) => hop.from.name === name)
    .map((hop) => ({ label: hop.label, waitMs: hop.policy.deadlineMs, word: 'deadlineMs' }))
  const reached = services
    .flatMap((service) => edgesOf(service, 'reaches'))
    .filter(({ external }) => external.protocol === 'http' && external.expectedLatencyMs <= 1_000)
    .map((edge) => ({
      label: `→ external ${edge.external.name}`,
      waitMs: resolveReach(edge).deadlineMs,
      word: 'deadlineMs',
    }))
  const asked = services
    .flatMap((service) => edgesOf(service, 'asks'))
    .map((edge) => ({ label: `→ queue ${edge.queue.name}`, waitMs: edge.policy.deadlineMs, word: 'deadlineMs' }))
  return [...calls, ...reached, ...asked]
}

/** How long a callee has: one attempt of the caller's, not all of them. */
function attemptMs({ deadlineMs, retry }: ResolvedCall): number {
  return retry ? Math.min(deadlineMs, retry.perTryTimeoutMs) : deadlineMs
}
