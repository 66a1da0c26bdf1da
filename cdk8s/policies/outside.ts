import type { Plan } from '#plan/plan.ts'
import { edgeOf, outsideNamespace, ports, type Site, selectorOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { pagedExternals } from '../workloads/pages.ts'
import { playedExternals } from '../workloads/played.ts'
import { accountOf } from './accounts.ts'
import { defaultDeny } from './network.ts'
import { networkPolicy, podsIn, tcp } from './peers.ts'

/** Who may reach the stand-ins: the services that declare it. They themselves reach nobody. */
export const outside: SystemPart = {
  wave: 'policies',
  name: 'system.outside',
  render: (site, plan) => {
    const played = playedExternals(site, plan)
    if (played.length === 0) return []
    const namespace = outsideNamespace(site)
    const callers = callersOf(plan)
    const shown = new Set(pagedExternals(site, plan).map(({ name }) => name))
    return [
      defaultDeny(site, namespace),
      ...played.flatMap(({ name }) => [
        accountOf(site, name, namespace, 'stand-in'),
        standInNetwork(site, name, namespace, { callers: callers.get(name) ?? [], shown: shown.has(name) }),
      ]),
    ]
  },
}

/** Services reach it where it plays its part; its page is for people, who come through the edge. */
function standInNetwork(
  site: Site,
  name: string,
  namespace: string,
  { callers, shown }: { readonly callers: readonly string[]; readonly shown: boolean },
): Manifest {
  const of = { name, namespace, component: 'stand-in', pods: { matchLabels: selectorOf(name) } }
  const { namespace: edgeNamespace, podLabels } = edgeOf(site)
  return networkPolicy(site, of, {
    ingress: [
      // An empty list would mean everybody.
      ...(callers.length > 0
        ? [{ from: callers.map((caller) => podsIn(site.namespace, selectorOf(caller))), ports: tcp(ports.app) }]
        : []),
      ...(shown ? [{ from: [podsIn(edgeNamespace, podLabels)], ports: tcp(ports.web) }] : []),
    ],
    egress: [],
  })
}

function callersOf({ egress }: Plan): ReadonlyMap<string, readonly string[]> {
  const callers = new Map<string, string[]>()
  for (const { from, external } of egress) callers.set(external, [...(callers.get(external) ?? []), from])
  return callers
}
