import type { Plan } from '#plan/plan.ts'
import { type ServiceSlice, slicesOf } from '#plan/slices.ts'
import type { Mesh, Settings, Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type Component, waves } from './component.ts'
import { serviceParts, systemParts } from './parts.ts'
import { checkedSite } from './settings-against-plan.ts'

/**
 * Everything that a system needs of a cluster, as components in the order of their waves, sorted by name within one.
 * Pure: equal plans give equal objects. Throws a RenderError for what a cluster cannot have.
 */
export function render(plan: Plan, mesh: Mesh, settings: Settings): readonly Component[] {
  const site = checkedSite(plan, mesh, settings)
  const components = [
    ...systemComponents(site, plan),
    ...[...slicesOf(plan).values()].flatMap((slice) => serviceComponents(site, slice)),
  ]
  return components.sort(byWaveThenName)
}

/** The components of one service, at most one a wave. */
export function serviceComponents(site: Site, slice: ServiceSlice): readonly Component[] {
  return waves.flatMap((wave) => {
    const objects = serviceParts.filter((part) => part.wave === wave).flatMap((part) => part.render(site, slice))
    return objects.length > 0 ? [{ wave, name: slice.service.name, objects: sorted(objects) }] : []
  })
}

/** The components that a system has once. */
export function systemComponents(site: Site, plan: Plan): readonly Component[] {
  return systemParts.flatMap(({ wave, name, render: objectsOf }) => {
    const objects = objectsOf(site, plan)
    return objects.length > 0 ? [{ wave, name, objects: sorted(objects) }] : []
  })
}

function sorted(objects: readonly Manifest[]): readonly Manifest[] {
  return objects
    .map((object) => ({ object, key: keyOf(object) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ object }) => object)
}

function keyOf({ kind, apiVersion, metadata }: Manifest): string {
  // A namespace is there before what stands in it.
  return `${kind === 'Namespace' ? '' : kind} ${apiVersion} ${metadata.namespace ?? ''} ${metadata.name}`
}

function byWaveThenName(a: Component, b: Component): number {
  const order = waves.indexOf(a.wave) - waves.indexOf(b.wave)
  if (order !== 0) return order
  if (a.name === b.name) return 0
  return a.name < b.name ? -1 : 1
}
