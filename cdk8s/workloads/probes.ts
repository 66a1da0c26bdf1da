import type { PlannedService } from '#plan/plan.ts'
import { type Mesh, ports } from '#providers/cluster.ts'

/** A container's three probes. */
export type Probes = { readonly startupProbe: object; readonly readinessProbe: object; readonly livenessProbe: object }

/**
 * How the kubelet asks a service.
 * - Started and alive is `/livez`: a process that waits for Kafka or a database is alive, and to restart it would not help.
 * - Ready is gRPC health on the interface where it speaks gRPC, which is `SERVING` exactly while `/readyz` is 200; Istio
 *   rewrites such probes. Linkerd would need a hole for everybody in the interface's policy, so there, and for REST and
 *   consumers, it is `/readyz` on the admin port, which is open to probes anyhow.
 * - An image of somebody else's need not open the admin port: it is ready and alive while its interface accepts connections.
 */
export function probesOf(
  mesh: Mesh,
  { start, protocol }: Pick<PlannedService, 'start' | 'protocol'> | { start: PlannedService['start']; protocol: null },
): Probes {
  if (start.kind === 'image' && protocol) return probes(accepts, accepts)
  return probes(
    protocol === 'grpc' && mesh !== 'linkerd' ? { grpc: { port: ports.app } } : http('/readyz'),
    http('/livez'),
  )
}

/** How the kubelet asks a stand-in, which always listens. */
export function standInProbes({ kind }: PlannedService['start']): Probes {
  return kind === 'image' ? probes(accepts, accepts) : probes(http('/readyz'), http('/livez'))
}

const accepts = { tcpSocket: { port: ports.app } }

function http(path: string) {
  return { httpGet: { path, port: ports.admin } }
}

function probes(ready: object, live: object): Probes {
  return {
    // Up to a minute to start; until then nothing else is asked.
    startupProbe: { ...live, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 30 },
    readinessProbe: { ...ready, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
    livenessProbe: { ...live, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 6 },
  }
}
