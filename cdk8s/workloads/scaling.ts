import type { ServiceSlice } from '#plan/slices.ts'
import { labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { cpuPercent, lagScaling } from './lag.ts'

/** How many replicas a service has at least: what the cluster's owners say, or else its declaration. */
export function replicasOf({ settings }: Site, { service }: ServiceSlice): number {
  const { replicas } = settings
  const chosen = Object.hasOwn(replicas, service.name) ? replicas[service.name] : undefined
  return chosen ?? service.replicas
}

/** Whether something on the cluster sets the number of replicas. */
export function scales(site: Site, slice: ServiceSlice): boolean {
  return site.environment === 'production' || byLag(site, slice)
}

/** What sets the number of replicas: KEDA by lag and CPU where it is there and the service consumes, in production else CPU. */
export function scaling(site: Site, slice: ServiceSlice): readonly Manifest[] {
  if (byLag(site, slice))
    return lagScaling(site, slice, { least: replicasOf(site, slice), most: replicasMax(site, slice) })
  return site.environment === 'production' ? [autoscaler(site, slice)] : []
}

function byLag({ settings }: Site, { subscriptions, works }: ServiceSlice): boolean {
  return settings.keda && (subscriptions.length > 0 || works.length > 0)
}

/**
 * Four times the least. Replicas of a mere consumer beyond the partitions of its largest topic would have nothing to do, and
 * there a task queue or an interface gives the others work.
 */
export function replicasMax(site: Site, slice: ServiceSlice): number {
  const least = replicasOf(site, slice)
  const { service, subscribed, works } = slice
  const idleBeyond =
    service.protocol === null && works.length === 0 && subscribed.length > 0
      ? Math.max(...subscribed.map(({ partitions }) => partitions))
      : Number.POSITIVE_INFINITY
  return Math.max(least, Math.min(least * 4, idleBeyond))
}

function autoscaler(site: Site, slice: ServiceSlice): Manifest {
  const { name } = slice.service
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: metadata(site, name),
    spec: {
      scaleTargetRef: target(name),
      minReplicas: replicasOf(site, slice),
      maxReplicas: replicasMax(site, slice),
      // Of the application alone: its sidecar has a request of its own, which would dilute the figure.
      metrics: [
        {
          type: 'ContainerResource',
          containerResource: {
            name: 'cpu',
            container: 'app',
            target: { type: 'Utilization', averageUtilization: cpuPercent },
          },
        },
      ],
    },
  }
}

function target(name: string) {
  return { apiVersion: 'apps/v1', kind: 'Deployment', name }
}

function metadata(site: Site, name: string) {
  return { name, namespace: site.namespace, labels: labelsOf(site, name, 'service') }
}
