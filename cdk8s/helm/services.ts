import { slicesOf } from '#plan/slices.ts'
import { type Settings, siteOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { connectionLimit } from '../data/postgres-access.ts'
import { render } from '../render.ts'
import { replicasMax } from '../workloads/scaling.ts'
import { clusterEnvironments, type Plans } from './variants.ts'

/** What the chart's helpers reckon with: each service's declared figures by environment. */
export type ServiceFigures = {
  /** Replicas where no value says otherwise. */
  readonly replicas: number
  /** Replicas beyond this would be idle; null where none would. */
  readonly replicasUseful: number | null
  /** Database connections of one replica. */
  readonly connections: number
  /** Whether it scales by lag where KEDA is there. */
  readonly byLag: boolean
}

/** The figures of every service, and the connections that Postgres has beyond theirs. */
export function figuresOf(plans: Plans, settings: Settings) {
  const bare = { ...settings, keda: false, replicas: {} }
  const services = clusterEnvironments.map((environment) => {
    const plan = plans[environment]
    const figures = [...slicesOf(plan).values()].map((slice): [string, ServiceFigures] => {
      const most = (replicas: number) =>
        replicasMax(siteOf(plan, 'none', { ...bare, replicas: { [slice.service.name]: replicas } }), slice)
      const { service, stores, subscriptions, works } = slice
      return [
        service.name,
        {
          replicas: service.replicas,
          replicasUseful: usefulOf(most),
          connections: stores.reduce((sum, { connectionsMax }) => sum + connectionsMax, 0),
          byLag: subscriptions.length > 0 || works.length > 0,
        },
      ]
    })
    return [environment, Object.fromEntries(figures)]
  })
  return { connectionsSpare: spareOf(plans, bare), services: Object.fromEntries(services) }
}

/** The most is four times the least until it would pass what is useful; the first that is not tells where that is. */
function usefulOf(most: (replicas: number) => number): number | null {
  for (let replicas = 1; replicas <= 1000; replicas++) if (most(replicas) !== 4 * replicas) return most(replicas)
  return null
}

function spareOf({ kind }: Plans, settings: Settings): number {
  const objects = render(kind, 'none', settings).flatMap((component) => component.objects)
  const cluster = objects.find(
    (object) => object.apiVersion.startsWith('postgresql.cnpg.io/') && object.kind === 'Cluster',
  )
  if (!cluster) return 0
  const site = siteOf(kind, 'none', settings)
  const clients = [...slicesOf(kind).values()].reduce((sum, slice) => sum + connectionLimit(site, slice), 0)
  return Number(parametersOf(cluster).max_connections) - clients
}

function parametersOf({ spec }: Manifest): Readonly<Record<string, string>> {
  return (spec as { readonly postgresql: { readonly parameters: Readonly<Record<string, string>> } }).postgresql
    .parameters
}
