import { allEdges, callWords, factsOf } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'

/** A stream and a call with one answer have nothing in common that a policy could say. */
export const streamEdge = rule({
  code: 'PLY114',
  title: 'Streams have an edge of their own',
  why: 'The deadline of a call is a second; that of a stream is its life. Under one policy either streams are cut, or calls hang.',
  reference: 'gRPC, "Deadlines"; Envoy, "How do I configure timeouts?", on streaming APIs',
  check: (system) =>
    allEdges(system, 'calls').flatMap(({ service, edge }): Breach[] => {
      const streaming = edge.methods.filter((method) => factsOf(edge.api, method)?.streaming)
      const where = {
        path: [service.name, `→ ${edge.api.name}.${edge.methods.join(',')}`],
        owners: [serviceOwner(service)],
      }
      if (streaming.length === 0 && edge.policy.idleMs !== undefined) {
        return [
          {
            ...where,
            message: `${service.name} bounds the silence of ${edge.methods.join(', ')}, where nothing streams.`,
            cost: null,
            mend: 'Take `idleMs` off this edge: `deadlineMs` bounds a call.',
          },
        ]
      }
      if (streaming.length === 0 || streaming.length === edge.methods.length) return []
      return [
        {
          ...where,
          message: `${service.name} declares one policy for streams (${streaming.join(', ')}) and for calls with one answer.`,
          cost: 'Either the streams are cut at the deadline of a call, or the calls wait as long as a stream may live.',
          mend: `Declare the streams apart: \`${callWords({ ...edge, methods: streaming }, 'deadlineMs: 900_000')}\`.`,
        },
      ]
    }),
})
