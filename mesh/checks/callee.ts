import { apiName, methodsOf } from '#graph/api.ts'
import { allEdges, byName, exposersOf, factsOf } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** Every call has somebody who answers. */
export const callee = rule({
  code: 'PLY109',
  title: 'Every call has a callee',
  why: 'A call to an interface that no service of the system exposes leads out of what is declared, and the mesh refuses it.',
  reference: 'Declared = allowed: the plan derives identities, routes and grants from both ends of a call',
  acceptable: false,
  check: (system) => [
    ...allEdges(system, 'calls')
      .filter(({ edge }) => exposersOf(system, edge.api).length === 0)
      .map(({ service, edge }) => ({
        path: [service.name, `→ ${edge.api.name}.${edge.methods.join(',')}`],
        message: `${service.name} calls ${apiName(edge.api)}, which no service of ${system.name} exposes.`,
        cost: 'Every such call fails.',
        mend: `Add ${edge.api.name} to \`exposes\` of the service that answers it, and that service to \`services\`; what is not ours is an \`external\` and is declared with \`reaches\`.`,
        owners: [serviceOwner(service)],
      })),
    ...allEdges(system, 'calls').flatMap(({ service, edge }) =>
      edge.methods
        .filter((method) => !factsOf(edge.api, method))
        .map((method) => ({
          path: [service.name, `→ ${edge.api.name}.${method}`],
          message: `${apiName(edge.api)} has no method ${method}.`,
          cost: 'Every such call fails.',
          mend: `Name one of its methods: ${list(methodsOf(edge.api))}.`,
          owners: [serviceOwner(service)],
        })),
    ),
    ...allEdges(system, 'calls')
      .filter(({ edge }) => edge.methods.length === 0)
      .map(({ service, edge }) => ({
        path: [service.name, `→ ${edge.api.name}`],
        message: `${service.name} declares calls to ${apiName(edge.api)} but names no method.`,
        cost: 'The edge allows nothing.',
        mend: `Name the methods that are called: \`calls(${edge.api.name}, ['…'])\`; the interface has ${list(methodsOf(edge.api))}.`,
        owners: [serviceOwner(service)],
      })),
    ...byName(system.exposures).flatMap((exposure) => {
      const known = system.services.some((service) => service.name === exposure.service.name)
      const exposed = (exposure.service.spec.exposes ?? []).some((api) => apiName(api) === apiName(exposure.api))
      if (known && exposed) return []
      const { name } = exposure.service
      return [
        {
          path: [`exposure ${exposure.name}`, `→ ${name}.${apiName(exposure.api)}`],
          message: known
            ? `The exposure ${exposure.name} leads to ${apiName(exposure.api)}, which ${name} does not expose.`
            : `The exposure ${exposure.name} leads to ${name}, which is not among the services of ${system.name}.`,
          cost: 'Every request from outside fails.',
          mend: known ? `Add ${exposure.api.name} to \`exposes\` of ${name}.` : `Add ${name} to \`services\`.`,
          owners: [],
        },
      ]
    }),
  ],
})
