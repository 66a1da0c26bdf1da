import { apiName } from '#graph/api.ts'
import { resolveConsume } from '#graph/defaults.ts'
import type { Edge, ServiceNode } from '#graph/service.ts'
import { byName } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { byText } from './text.ts'

/** One policy holds for one thing. */
export const edgeOverlap = rule({
  code: 'PLY112',
  title: 'What an edge is about is in one edge only',
  why: 'Two edges of a service about the same method, subscription, queue or external have two policies, of which one silently wins.',
  reference: 'Envoy, "Route matching": the first matching route decides',
  acceptable: false,
  check: (system) =>
    byName(system.services).flatMap((service) =>
      repeated((service.spec.edges ?? []).flatMap((edge) => subjectsOf(service, edge))).map((subject) => ({
        path: [service.name, subject],
        message: `${service.name} declares ${subject} in more than one edge.`,
        cost: null,
        mend: `Keep one edge for ${subject} and take it out of the others.`,
        owners: [serviceOwner(service)],
      })),
    ),
})

function subjectsOf(service: ServiceNode, edge: Edge): string[] {
  switch (edge.kind) {
    case 'calls':
      return edge.methods.map((method) => `→ ${apiName(edge.api)}.${method}`)
    case 'consumes':
      return [`← topic ${edge.topic.name} as group ${resolveConsume(service.name, edge.policy).group}`]
    case 'sends':
    case 'asks':
      return [`→ queue ${edge.queue.name} (${edge.kind})`]
    case 'works':
      return [`← queue ${edge.queue.name}`]
    case 'reaches':
      return [`→ external ${edge.external.name}`]
    case 'delivers':
      return [`→ webhook ${edge.webhook.name}`]
  }
}

function repeated(subjects: readonly string[]): string[] {
  const twice = subjects.filter((subject, index) => subjects.indexOf(subject) !== index)
  return [...new Set(twice)].sort(byText)
}
