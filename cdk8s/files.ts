import type { Plan } from '#plan/plan.ts'
import { slicesOf } from '#plan/slices.ts'
import type { Mesh, Settings } from '#providers/cluster.ts'
import type { Component } from './component.ts'
import { serviceComponents, systemComponents } from './render.ts'
import { checkedSite } from './settings-against-plan.ts'
import { toYaml } from './yaml.ts'

/** Rendered files by path, such as `workloads/orders.yaml`, in the order of their paths. */
export type Files = ReadonlyMap<string, string>

/**
 * Renders the files of a system again and again, such as while somebody edits its declaration: a service whose slice has
 * not changed keeps its files. What comes out depends on the plan alone, never on what was rendered before.
 */
export function fileRenderer(mesh: Mesh, settings: Settings): (plan: Plan) => Files {
  let siteBefore = ''
  let before = new Map<string, { readonly slice: string; readonly files: readonly File[] }>()
  return (plan) => {
    const site = checkedSite(plan, mesh, settings)
    const siteNow = JSON.stringify(site)
    const known = siteNow === siteBefore ? before : new Map<string, never>()
    const now: typeof before = new Map()
    for (const [name, slice] of slicesOf(plan)) {
      const text = JSON.stringify(slice)
      const kept = known.get(name)
      now.set(name, kept?.slice === text ? kept : { slice: text, files: serviceComponents(site, slice).map(fileOf) })
    }
    siteBefore = siteNow
    before = now
    return collected([...systemComponents(site, plan).map(fileOf), ...[...now.values()].flatMap(({ files }) => files)])
  }
}

/** The files of a system on one mesh. Throws where two parts would write the same file. */
export function filesOf(plan: Plan, mesh: Mesh, settings: Settings): Files {
  return fileRenderer(mesh, settings)(plan)
}

/** The files of what is rendered already. Throws where two parts would write the same file. */
export function filesOfComponents(components: readonly Component[]): Files {
  return collected(components.map(fileOf))
}

type File = readonly [path: string, text: string]

function fileOf({ wave, name, objects }: Component): File {
  return [`${wave}/${name}.yaml`, toYaml(objects)]
}

function collected(files: readonly File[]): Files {
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1))
  const map = new Map(sorted)
  if (map.size === files.length) return map
  const twice = sorted.find(([path], index) => sorted[index + 1]?.[0] === path)?.[0]
  throw new Error(`Two parts render ${twice}: a service may not have the name of a part of the system.`)
}
