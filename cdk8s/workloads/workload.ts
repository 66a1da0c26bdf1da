import type { ServiceSlice } from '#plan/slices.ts'
import { labelsOf, ports, type Site, selectorOf } from '#providers/cluster.ts'
import { podAnnotations as linkerdAnnotations } from '#providers/linkerd/mtls.ts'
import { serviceAnnotations } from '#providers/linkerd/render.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart } from '../component.ts'
import { serviceVariables } from './environment.ts'
import { adminPort, podTemplate } from './pod.ts'
import { probesOf } from './probes.ts'
import { replicasOf, scales, scaling } from './scaling.ts'
import { secretMounts, secretVolumes } from './secrets.ts'
import { workloadLabels } from './version.ts'

/** A service's Deployment, with its Service, disruption budget and scaling where it needs them. */
export const workload: ServicePart = {
  wave: 'workloads',
  render: (site, slice) => [
    deployment(site, slice),
    ...(slice.service.protocol ? [service(site, slice)] : []),
    ...(severalOf(site, slice) ? [disruptionBudget(site, slice)] : []),
    ...scaling(site, slice),
  ],
}

/** Whether there may be more than one of it. */
function severalOf(site: Site, slice: ServiceSlice): boolean {
  return scales(site, slice) || replicasOf(site, slice) > 1
}

function deployment(site: Site, slice: ServiceSlice): Manifest {
  const { name, start, resources, protocol } = slice.service
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata(site, name), labels: workloadLabels(site, name, 'service', start) },
    spec: {
      // Where something scales it, a number here would undo that at each apply.
      replicas: scales(site, slice) ? undefined : replicasOf(site, slice),
      revisionHistoryLimit: 3,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: selectorOf(name) },
      template: podTemplate(site, {
        name,
        what: `service ${name}`,
        component: 'service',
        start,
        ...resources,
        ports: [...(protocol ? [{ name: protocol, containerPort: ports.app }] : []), adminPort],
        env: serviceVariables(site, slice),
        probes: probesOf(site.mesh, slice.service),
        volumes: secretVolumes(site, slice),
        mounts: secretMounts(site, slice),
        annotations: podAnnotations(site, slice),
        spread: severalOf(site, slice),
      }),
    },
  }
}

/** What the mesh's proxy reads beside the pod. Istio's agent answers with the application's metrics and the sidecar's on one port. */
function podAnnotations(site: Site, slice: ServiceSlice): Readonly<Record<string, string>> {
  switch (site.mesh) {
    case 'istio':
      return {
        'prometheus.io/scrape': 'true',
        'prometheus.io/port': String(ports.admin),
        'prometheus.io/path': '/metrics',
        // JSON is YAML. What is not named here is the mesh's own.
        'proxy.istio.io/config': JSON.stringify({ proxyStatsMatcher: { inclusionRegexps: [breakerStatistics] } }),
      }
    case 'linkerd':
      return linkerdAnnotations(site, slice)
    case 'none':
      return {}
  }
}

/** The statistics of breakers, which Istio's sidecars keep only where they are told to; the names are Envoy's, whole. */
const breakerStatistics = 'cluster.outbound.*outlier_detection.ejections_(active|enforced_total)'

function service(site: Site, slice: ServiceSlice): Manifest {
  const { name, protocol } = slice.service
  // Istio translates gRPC-Web in front of a port of this name. It reads appProtocol first, so there is none.
  const web = site.mesh === 'istio' && slice.exposures.some(({ grpcWeb }) => grpcWeb)
  const appProtocol = protocol === 'grpc' ? 'kubernetes.io/h2c' : 'http'
  const annotations = site.mesh === 'linkerd' ? serviceAnnotations(slice) : {}
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata(site, name), ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: {
      type: 'ClusterIP',
      selector: selectorOf(name),
      ports: [
        {
          name: web ? 'grpc-web' : protocol,
          port: ports.app,
          targetPort: ports.app,
          protocol: 'TCP',
          appProtocol: web ? undefined : appProtocol,
        },
      ],
    },
  }
}

function disruptionBudget(site: Site, { service: { name } }: ServiceSlice): Manifest {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(site, name),
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: selectorOf(name) },
      // A pod that is not ready serves nobody and must not hold up a node's drain.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  }
}

function metadata(site: Site, name: string) {
  return { name, namespace: site.namespace, labels: labelsOf(site, name, 'service') }
}
