import { unversionedRoutes } from '#graph/api.ts'
import type { ExposureNode } from '#graph/exposure.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName, factsOf } from './edges.ts'
import { type Breach, exposureOwner, rule } from './rule.ts'
import { list } from './text.ts'

type Open = { readonly verb: string; readonly path: string }

/** On a cluster all ways in share one edge, which tells them apart by host, verb and path. */
export const routeClash = rule({
  code: 'PLY409',
  title: 'A request from outside has one way in',
  why: 'Locally each exposure has a port of its own; on a cluster one edge serves them all. Of two that take the same request, chance or the older object decides which service answers, under which rate, deadline and authentication.',
  reference: 'Gateway API, HTTPRoute, "matches": precedence where several routes match',
  check: (system) => pairsOf(system).flatMap(([one, other]) => clash(one, other)),
})

function clash(one: ExposureNode, other: ExposureNode): Breach[] {
  const others = opensOf(other)
  const both = opensOf(one).flatMap((mine) =>
    others.filter((theirs) => meet(mine, theirs)).map((theirs) => words(mine, theirs)),
  )
  if (both.length === 0) return []
  const where = one.host === '*' ? 'at any host' : `at ${one.host}`
  return [
    {
      path: [`exposure ${one.name}`, `↔ exposure ${other.name}`],
      message: `The exposures ${one.name} and ${other.name} both take ${list([...new Set(both)])} ${where}.`,
      cost: null,
      mend: `Give \`exposure('${other.name}', …)\` a \`host\` of its own, leave the methods out of one of them, or give one a path of its own.`,
      owners: [exposureOwner(one), exposureOwner(other)],
    },
  ]
}

/** Every two exposures at one host. A named host goes before any host, so these two do not meet. */
function pairsOf({ exposures }: SystemNode): [ExposureNode, ExposureNode][] {
  const sorted = byName(exposures)
  return sorted.flatMap((one, index) =>
    sorted
      .slice(index + 1)
      .filter(({ host }) => host.toLowerCase() === one.host.toLowerCase())
      .map((other): [ExposureNode, ExposureNode] => [one, other]),
  )
}

/** What an exposure lets in; the paths without a version count too. */
function opensOf({ api, methods }: ExposureNode): Open[] {
  const declared = methods.flatMap((method) => factsOf(api, method) ?? [])
  const unversioned = unversionedRoutes(api).flatMap(({ of, path }) => {
    const facts = methods.includes(of) ? factsOf(api, of) : null
    return facts ? [{ verb: facts.verb, path }] : []
  })
  return [...declared, ...unversioned]
}

/** Whether there is a request that both take: segment by segment they are equal, or one stands for anything. */
function meet(one: Open, other: Open): boolean {
  const mine = one.path.split('/')
  const theirs = other.path.split('/')
  const free = (segment: string) => segment.startsWith('{')
  return (
    one.verb === other.verb &&
    mine.length === theirs.length &&
    mine.every((segment, index) => {
      const against = theirs[index] ?? ''
      return segment === against || (free(segment) && against !== '') || (free(against) && segment !== '')
    })
  )
}

function words(one: Open, other: Open): string {
  const mine = `${one.verb} ${one.path}`
  return one.path === other.path ? mine : `${mine} (${other.path})`
}
