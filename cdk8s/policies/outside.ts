import type { Plan } from '#plan/plan.ts'
import { outsideNamespace, ports, type Site, selectorOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { playedExternals } from '../workloads/stand-ins.ts'
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
    return [
      defaultDeny(site, namespace),
      ...played.flatMap(({ name }) => [
        accountOf(site, name, namespace, 'stand-in'),
        standInNetwork(site, name, namespace, callers.get(name) ?? []),
      ]),
    ]
  },
}

/** Their pages are for people with `kubectl port-forward`, which comes from the node itself. */
function standInNetwork(site: Site, name: string, namespace: string, callers: readonly string[]): Manifest {
  const of = { name, namespace, component: 'stand-in', pods: { matchLabels: selectorOf(name) } }
  return networkPolicy(site, of, {
    ingress: [{ from: callers.map((caller) => podsIn(site.namespace, selectorOf(caller))), ports: tcp(ports.app) }],
    egress: [],
  })
}

function callersOf({ egress }: Plan): ReadonlyMap<string, readonly string[]> {
  const callers = new Map<string, string[]>()
  for (const { from, external } of egress) callers.set(external, [...(callers.get(external) ?? []), from])
  return callers
}
