import type { Egress, Plan } from '#plan/plan.ts'
import { externalPort, labelsOf, outsideNamespace, ports, type Site, selectorOf } from '#providers/cluster.ts'
import { breakerAnnotations } from '#providers/linkerd/breaker.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { standInVariables } from './environment.ts'
import { pages } from './pages.ts'
import { type Played, pagePortOf, playedExternals } from './played.ts'
import { adminPort, podTemplate } from './pod.ts'
import { standInProbes } from './probes.ts'
import { workloadLabels } from './version.ts'

/** The systems outside that cannot be reached from a laptop's cluster, played by processes outside of the system's namespace. */
export const standIns: SystemPart = {
  wave: 'workloads',
  name: 'system.stand-ins',
  render: (site, plan) => {
    const breakers = breakersOf(plan)
    return [
      ...playedExternals(site, plan).flatMap((external) => [
        deployment(site, external),
        service(site, external, breakers.get(external.name) ?? []),
      ]),
      ...pages(site, plan),
    ]
  },
}

/** What those who reach an external declare of its breaker. */
function breakersOf({ egress }: Plan): ReadonlyMap<string, readonly Egress['breaker'][]> {
  const breakers = new Map<string, Egress['breaker'][]>()
  for (const { external, breaker } of egress) {
    const known = breakers.get(external)
    if (known) known.push(breaker)
    else breakers.set(external, [breaker])
  }
  return breakers
}

const memoryMiB = 128

function deployment(site: Site, external: Played): Manifest {
  const { name, standIn } = external
  const { start, webPort } = standIn
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata(site, name), labels: workloadLabels(site, name, 'stand-in', start) },
    spec: {
      replicas: 1,
      revisionHistoryLimit: 3,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: selectorOf(name) },
      template: podTemplate(site, {
        name,
        what: `stand-in of ${name}`,
        component: 'stand-in',
        start,
        cpuMillis: 20,
        memoryMiB,
        ports: [{ name: 'app', containerPort: ports.app }, ...(webPort === null ? [] : [webContainerPort]), adminPort],
        env: standInVariables(site, external, start, webPort, memoryMiB),
        probes: standInProbes(start),
        volumes: [],
        mounts: [],
        annotations: {},
        spread: false,
      }),
    },
  }
}

const webContainerPort = { name: 'web', containerPort: ports.web } as const

/** Answers on the external's own port, whatever the process listens on, and with its page on the port of pages. */
function service(site: Site, external: Played, breakers: readonly Egress['breaker'][]): Manifest {
  const { name, protocol, standIn } = external
  // Linkerd's breakers are the callee's; Istio's are each caller's own, in its policy.
  const annotations = site.mesh === 'linkerd' && protocol === 'http' ? breakerAnnotations(breakers) : {}
  const port = externalPort(external)
  const page = {
    name: 'http-web',
    port: pagePortOf(external),
    targetPort: ports.web,
    protocol: 'TCP',
    appProtocol: 'http',
  }
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata(site, name), ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: {
      type: 'ClusterIP',
      selector: selectorOf(name),
      ports: [
        {
          name: protocol,
          port,
          targetPort: ports.app,
          protocol: 'TCP',
          // Linkerd takes every other value for an opaque protocol, which is right: a server may speak first.
          appProtocol: protocol === 'http' ? 'http' : 'tcp',
        },
        ...(standIn.webPort === null ? [] : [page]),
      ],
    },
  }
}

function metadata(site: Site, name: string) {
  return { name, namespace: outsideNamespace(site), labels: labelsOf(site, name, 'stand-in') }
}
