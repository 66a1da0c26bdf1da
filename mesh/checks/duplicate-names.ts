import type { SystemNode } from '#graph/system.ts'
import { allEdges, byName } from './edges.ts'
import { rule } from './rule.ts'
import { byText } from './text.ts'

type Node = { readonly name: string }

/** A name means one thing. */
export const duplicateNames = rule({
  code: 'PLY604',
  title: 'A name is given once',
  why: 'Nodes are known by their names to the mesh, the broker and the database. Two of one name are merged there, or one replaces the other.',
  reference: 'Kubernetes, "Object Names and IDs"',
  acceptable: false,
  check: (system) => [
    ...repeated('service', system.services),
    ...repeated('exposure', system.exposures),
    ...repeated('saga', system.sagas),
    ...repeated('topic', distinct(topicsOf(system))),
    ...repeated('queue', distinct(queuesOf(system))),
    ...repeated('external', distinct(allEdges(system, 'reaches').map(({ edge }) => edge.external))),
    ...repeated(
      'webhook',
      allEdges(system, 'delivers').map(({ edge }) => edge.webhook),
    ),
    ...clashes(system),
    ...byName(system.services).flatMap((service) =>
      repeated(
        `store of ${service.name}`,
        (service.spec.owns ?? []).map((store) => ({ name: store.name ?? service.name })),
      ),
    ),
  ],
})

function repeated(kind: string, nodes: readonly Node[]) {
  const names = nodes.map(({ name }) => name)
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].sort(byText)
  return twice.map((name) => ({
    path: [`${kind} ${name}`],
    message: `There are ${names.filter((other) => other === name).length} declarations of a ${kind} named ${name}.`,
    cost: null,
    mend: `Declare ${name} once and refer to that constant, or give the others names of their own.`,
    owners: [],
  }))
}

/** Both are where calls go, by name. */
function clashes(system: SystemNode) {
  const services = new Set(system.services.map(({ name }) => name))
  const externals = new Set(allEdges(system, 'reaches').map(({ edge }) => edge.external.name))
  return [...externals]
    .filter((name) => services.has(name))
    .sort(byText)
    .map((name) => ({
      path: [`external ${name}`],
      message: `${name} is the name of a service and of an external.`,
      cost: null,
      mend: `Rename the external, such as to ${name}-outside.`,
      owners: [],
    }))
}

function topicsOf(system: SystemNode): Node[] {
  return [
    ...system.services.flatMap((service) => service.spec.publishes ?? []),
    ...allEdges(system, 'consumes').map(({ edge }) => edge.topic),
    ...allEdges(system, 'delivers').map(({ edge }) => edge.webhook.topic),
  ]
}

function queuesOf(system: SystemNode): Node[] {
  return (['works', 'sends', 'asks'] as const).flatMap((kind) => allEdges(system, kind).map(({ edge }) => edge.queue))
}

/** A node that several edges name is one declaration. */
function distinct<T>(nodes: readonly T[]): T[] {
  return [...new Set(nodes)]
}
