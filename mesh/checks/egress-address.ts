import type { ExternalNode } from '#graph/external.ts'
import { allEdges, byName } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** What is declared as outside is outside, and one place. */
export const egressAddress = rule({
  code: 'PLY405',
  title: 'An external is a named place outside',
  why: 'Egress is opened for what is declared. A wildcard opens everything; an inside or bare address leads around identities and grants; two externals at one address have two policies of which one wins.',
  reference: 'OWASP, "Server-Side Request Forgery Prevention"; Istio, "Egress traffic control"',
  check: (system) => {
    const reached = allEdges(system, 'reaches')
    const externals = byName([...new Map(reached.map(({ edge }) => [edge.external.name, edge.external])).values()])
    const owners = (name: string) =>
      reached.filter(({ edge }) => edge.external.name === name).map(({ service }) => serviceOwner(service))
    const inside = new Set(system.services.map(({ name }) => `${name}.${system.name}`))
    return [
      ...externals.flatMap((external) =>
        said(external, inside).map((each) => ({
          path: [`external ${external.name}`],
          cost: null,
          owners: owners(external.name),
          ...each,
        })),
      ),
      ...sameAddress(externals).map((names) => ({
        path: names.map((name) => `external ${name}`),
        message: `${list(names)} are one address: a mesh tells HTTP apart by its host, other protocols by host and port.`,
        cost: null,
        mend: `Declare one \`external\` with the routes of all, and let every service reach it.`,
        owners: names.flatMap(owners),
      })),
    ]
  },
})

function said(external: ExternalNode, inside: ReadonlySet<string>): Pick<Breach, 'message' | 'mend'>[] {
  const { name, host, protocol, routes } = external
  const found = []
  const wrong = wrongHost(host, inside)
  if (wrong) found.push({ message: `The host of ${name}, ${JSON.stringify(host)}, ${wrong[0]}.`, mend: wrong[1] })
  if (protocol === 'http' && Object.keys(routes).length === 0) {
    found.push({
      message: `The external ${name} speaks HTTP and declares no route.`,
      mend: `Declare the \`routes\` that are called on \`external('${name}', …)\`.`,
    })
  }
  return found
}

function wrongHost(host: string, inside: ReadonlySet<string>): [string, string] | null {
  const named = 'Declare the name under which it is known outside: `host: …`.'
  if (host.includes('*')) return ['stands for many places', 'Declare one `external` for each host that is reached.']
  if (/^[\d.]+$/.test(host) || (host.includes(':') && /^[\da-f:.[\]%]+$/i.test(host))) {
    return ['is a bare address, which has no name that a certificate could prove', named]
  }
  if (
    inside.has(host) ||
    !host.includes('.') ||
    /(^|\.)(localhost|svc|cluster\.local)$/i.test(host) ||
    /\.svc\./i.test(host)
  ) {
    return [
      'is a name inside',
      'Use `calls` towards the service that exposes the interface, or declare the host with its domain.',
    ]
  }
  const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
  if (!new RegExp(`^${label}(\\.${label})+$`, 'i').test(host) || host.length > 253) {
    return ['is no full host name', 'Declare the host alone, with its domain: no scheme, no port, no path.']
  }
  return null
}

function sameAddress(externals: readonly ExternalNode[]): string[][] {
  const places = new Map<string, string[]>()
  for (const { name, host, port, protocol } of externals) {
    const address = `${host.toLowerCase()}:${port}`
    for (const place of protocol === 'http' ? [address, host.toLowerCase()] : [address]) {
      places.set(place, [...(places.get(place) ?? []), name])
    }
  }
  const shared = [...places.values()].filter((names) => names.length > 1)
  return [...new Map(shared.map((names) => [names.join(), names])).values()]
}
