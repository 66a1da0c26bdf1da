import { type MethodFacts, rest } from '#graph/api.ts'
import { retrySafe } from '#graph/defaults.ts'
import { allEdges, factsOf } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'

/** Only what may safely happen twice is retried. */
export const retrySafety = rule({
  code: 'PLY107',
  title: 'Only what may happen twice is retried',
  why: 'A lost answer looks like a lost request. Retrying what is neither idempotent nor recognised by a key charges, orders or reserves twice.',
  reference: 'RFC 9110, section 9.2.2; Google AIP-155, "Request identification"; protobuf `idempotency_level`',
  check: (system) => [
    ...allEdges(system, 'calls').flatMap(({ service, edge }) =>
      edge.policy.retry && edge.policy.retry.attempts > 1
        ? edge.methods.flatMap((method) =>
            breach(service.name, `${edge.api.name}.${method}`, factsOf(edge.api, method), edge.api.kind),
          )
        : [],
    ),
    ...allEdges(system, 'reaches').flatMap(({ service, edge }) => {
      if (!edge.policy.retry || !(edge.policy.retry.attempts > 1)) return []
      const api = rest(edge.external.name, edge.external.routes)
      return Object.keys(api.routes).flatMap((route) =>
        breach(service.name, `external ${edge.external.name}.${route}`, factsOf(api, route), 'external'),
      )
    }),
  ],
})

function breach(name: string, method: string, facts: MethodFacts | null, kind: keyof typeof mends): Breach[] {
  if (!facts || (retrySafe(facts) && !facts.streaming)) return []
  const where = { path: [name, `→ ${method}`], owners: [serviceOwner({ name })] }
  if (facts.streaming) {
    return [
      {
        ...where,
        message: `${name} retries ${method}, which is a stream: what was already read or written cannot be taken back by a proxy.`,
        cost: null,
        mend: `Take \`retry\` off the edge of ${method}, in an edge of its own if other methods need it.`,
      },
    ]
  }
  return [
    {
      ...where,
      message: `${name} retries ${method} (${facts.verb}), which is not idempotent by its contract and carries no idempotency key.`,
      cost: 'One lost answer makes the effect happen once an attempt.',
      mend: mends[kind],
    },
  ]
}

const mends = {
  service:
    'Give the request message a field `idempotency_key`, or the method `option idempotency_level = IDEMPOTENT`, or take `retry` off this edge.',
  rest: 'Declare the route with PUT, or take `retry` off this edge.',
  graphql: 'Take `retry` off this edge: a GraphQL request may be a mutation.',
  external: 'Declare the route with PUT where the external offers it, or take `retry` off this edge.',
} as const
