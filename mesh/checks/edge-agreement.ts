import { byName, type Hop, hopsOf } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'

/** Breaker and limits are those of a pair of services. */
export const edgeAgreement = rule({
  code: 'PLY111',
  title: 'Edges between two services agree on breaker and limits',
  why: 'A mesh keeps one breaker and one set of limits for a caller and callee. If two edges differ, one of them is not what runs.',
  reference: 'Envoy, "Outlier detection" and "Circuit breaking": both belong to the cluster, not to the route',
  check: (system) => {
    const hops = hopsOf(system)
    return byName(system.services).flatMap((caller) => {
      const mine = hops.filter((hop) => hop.from.name === caller.name)
      const callees = [...new Set(mine.map((hop) => hop.to.name))].sort()
      return callees.flatMap((callee) => {
        const edges = mine.filter((hop) => hop.to.name === callee)
        return (['breaker', 'limits'] as const).flatMap((word) => disagreement(edges, word))
      })
    })
  },
})

function disagreement(edges: readonly Hop[], word: 'breaker' | 'limits') {
  const texts = [...new Set(edges.map((hop) => written(hop.policy[word])))]
  const [first] = edges
  if (texts.length < 2 || !first) return []
  return [
    {
      path: [first.from.name, `→ ${first.to.name}`],
      message: `The ${edges.length} edges from ${first.from.name} to ${first.to.name} declare different ${word}: ${texts.join(' and ')}.`,
      cost: null,
      mend: `Declare \`${word}: ${texts[0] ?? ''}\` on each of them.`,
      owners: [serviceOwner(first.from)],
    },
  ]
}

function written(policy: object): string {
  const fields = Object.entries(policy).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{ ${fields.map(([name, value]) => `${name}: ${String(value)}`).join(', ')} }`
}
