import type { Plan } from '#plan/plan.ts'

/** A declared edge, whatever carries it. */
export type Edge = {
  readonly kind: 'exposure' | 'call' | 'topic' | 'queue' | 'egress'
  readonly from: string
  readonly to: string
  readonly what: string
}

/** A policy on the cluster that is not as declared. `component` is the service that it belongs to, or a part of the system. */
export type Drift = {
  readonly component: string
  readonly object: string
  readonly name: string
  readonly what: string
}

/** Every edge of a plan. */
export function edgesOf({ links, egress, topics, subscriptions, queues, exposures }: Plan): readonly Edge[] {
  const owners = new Map(topics.map(({ name, owner }) => [name, owner]))
  return [
    ...exposures.map(
      ({ name, service, methods }) =>
        ({ kind: 'exposure', from: `${name} (outside)`, to: service, what: `${methods.length} methods` }) as const,
    ),
    ...links.map(({ from, to, routes }) => {
      const methods = routes.flatMap((route) => route.methods.map(({ name }) => name))
      return { kind: 'call', from, to, what: methods.join(', ') } as const
    }),
    ...subscriptions.map(
      ({ service, topic }) =>
        ({ kind: 'topic', from: owners.get(topic) ?? topic, to: service, what: `topic ${topic}` }) as const,
    ),
    ...queues.flatMap(({ name, senders, worker }) =>
      senders.map((sender) => ({ kind: 'queue', from: sender, to: worker, what: `queue ${name}` }) as const),
    ),
    ...egress.map(({ from, external }) => ({ kind: 'egress', from, to: external, what: 'outside' }) as const),
  ]
}

/** What concerns an edge among what is not as declared: a policy named after a caller and its callee is that call's alone, any other one is both ends'. */
export function driftOf(edge: Edge, drifts: readonly Drift[], services: ReadonlySet<string>): readonly Drift[] {
  return drifts.filter(({ component, name }) => {
    if (component !== edge.from && component !== edge.to) return false
    const [caller = '', callee = ''] = name.split('.')
    const ofCall = services.has(caller) && services.has(callee)
    return !ofCall || (edge.kind === 'call' && edge.from === caller && edge.to === callee)
  })
}
