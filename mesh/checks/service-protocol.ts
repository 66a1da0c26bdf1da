import { byName } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** A port speaks one protocol. */
export const serviceProtocol = rule({
  code: 'PLY113',
  title: 'A service speaks one protocol',
  why: 'A service has one port, and a mesh decides by the port how to balance, retry and authorise: gRPC by method, HTTP by route.',
  reference: 'Kubernetes, `appProtocol` of a Service port',
  acceptable: false,
  check: (system) =>
    byName(system.services).flatMap((service) => {
      const apis = service.spec.exposes ?? []
      const grpc = apis.filter((api) => api.kind === 'service').map((api) => api.name)
      const http = apis.filter((api) => api.kind !== 'service').map((api) => api.name)
      if (grpc.length === 0 || http.length === 0) return []
      return [
        {
          path: [service.name],
          message: `${service.name} exposes gRPC (${list(grpc)}) and HTTP (${list(http)}) on one port.`,
          cost: null,
          mend: `Move ${list(http)} to a service of its own that \`calls\` ${list(grpc)}.`,
          owners: [serviceOwner(service)],
        },
      ]
    }),
})
