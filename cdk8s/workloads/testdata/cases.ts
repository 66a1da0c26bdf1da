/** The shop's objects as the tests of workloads and policies hold them, for every environment and mesh. */
import type { EnvironmentName } from '#graph/environment.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { slicesOf } from '#plan/slices.ts'
import { type Mesh, meshes, type Settings, type Site, siteOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { leastSettings } from '#test/fixtures/settings.ts'
import { account } from '../../policies/accounts.ts'
import { namespaces } from '../../policies/namespaces.ts'
import { serviceNetwork, systemNetwork } from '../../policies/network.ts'
import { outside } from '../../policies/outside.ts'
import { edge } from '../edge.ts'
import { routes } from '../routes.ts'
import { standIns } from '../stand-ins.ts'
import { workload } from '../workload.ts'

/** Settings as a cluster's owners would choose them. */
export const settings: Settings = {
  ...leastSettings,
  image: { repository: 'registry.example/parley', tag: '1.2.3', digest: `sha256:${'ab'.repeat(32)}` },
  imagePullSecrets: ['pull'],
  hosts: { shop: 'shop.example' },
  nodePorts: { http: 30_080, https: 30_443 },
}

/** One environment and mesh with everything that is rendered for it. */
export type Rendered = { readonly title: string; readonly site: Site; readonly objects: readonly Manifest[] }

/** Everything that workloads and policies render of a plan. */
export function renderedOf(plan: Plan, mesh: Mesh, chosen: Settings = settings): Rendered {
  const site = siteOf(plan, mesh, chosen)
  const system = [namespaces, systemNetwork, outside, standIns, edge].flatMap((part) => part.render(site, plan))
  const service = [account, serviceNetwork, workload, routes]
  const services = [...slicesOf(plan).values()].flatMap((slice) => service.flatMap((part) => part.render(site, slice)))
  return { title: `${plan.environment} ${mesh}`, site, objects: [...system, ...services] }
}

/** The shop in both environments and all meshes. */
export const cases: readonly Rendered[] = (['kind', 'production'] as const satisfies EnvironmentName[]).flatMap(
  (environment) => meshes.map((mesh) => renderedOf(derive(shop, environment), mesh)),
)
