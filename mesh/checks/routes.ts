import type { RestApi } from '#graph/api.ts'
import type { SystemNode } from '#graph/system.ts'
import { allEdges } from './edges.ts'
import { type Breach, rule } from './rule.ts'
import { byText, list } from './text.ts'

/** Routes and where they are declared: `interface orders-api` or `external bank`. */
type Routed = {
  readonly place: string
  readonly routes: Readonly<Record<string, string>>
  readonly streams?: readonly string[]
}

const verbs = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE']
const literal = /^([A-Za-z0-9._~!$&'(),;=:@+-]|%[0-9A-Fa-f]{2})+$/
const parameter = /^\{[A-Za-z_][A-Za-z0-9_-]*\}$/
const dots = /^(\.|%2e){1,2}$/i

/** A route can be matched, and by one method only. */
export const routes = rule({
  code: 'PLY607',
  title: 'A route is a verb and an absolute path, and there once',
  why: 'The mesh lets in what matches a declared route. One that cannot be matched refuses every call; of two that match the same, chance decides which policy holds.',
  reference: 'RFC 9110, section 9.3; RFC 3986, section 3.3; RFC 6570, section 1.2',
  acceptable: false,
  check: (system) =>
    routedOf(system).flatMap((routed) => [...wrong(routed), ...repeated(routed), ...noStreams(routed)]),
})

function noStreams({ place, routes, streams = [] }: Routed): Breach[] {
  return streams
    .filter((name) => !Object.hasOwn(routes, name))
    .map((name) => ({
      path: [place, name],
      message: `${place} says that ${name} streams, which is no route of it.`,
      cost: 'The route that was meant is cut at the deadline of an answer.',
      mend: `Name routes of the interface in \`streams\`: ${list(Object.keys(routes))}.`,
      owners: [],
    }))
}

function wrong({ place, routes }: Routed): Breach[] {
  return Object.entries(routes).flatMap(([name, route]) => {
    const faults = faultsOf(route)
    if (faults.length === 0) return []
    return [
      {
        path: [place, name],
        message: `The route ${name} of ${place}, ${JSON.stringify(route)}, is none: ${list(faults)}.`,
        cost: 'Every such call fails.',
        mend: `Declare a verb and an absolute path whose \`{names}\` stand for one segment each: \`${name}: '${suggestion(route)}'\`.`,
        owners: [],
      },
    ]
  })
}

function repeated({ place, routes }: Routed): Breach[] {
  const byShape = new Map<string, string[]>()
  for (const [name, route] of Object.entries(routes)) {
    const shape = String(route).replace(/\{[^{}/]*\}/g, '{}')
    byShape.set(shape, [...(byShape.get(shape) ?? []), name].sort(byText))
  }
  return [...byShape.values()]
    .filter((names) => names.length > 1)
    .map((names) => ({
      path: [place, ...names],
      message: `The routes ${list(names)} of ${place} match the same calls: ${list([...new Set(names.map((name) => JSON.stringify(routes[name])))])}.`,
      cost: null,
      mend: `Keep ${names[0] ?? ''}, and give ${list(names.slice(1))} a verb or a path of its own.`,
      owners: [],
    }))
}

function faultsOf(route: unknown): string[] {
  if (typeof route !== 'string') return ['it is no text']
  const [verb = '', path, ...more] = route.split(' ')
  const verbFault = verbs.includes(verb) ? [] : [`${JSON.stringify(verb)} is none of the verbs ${list(verbs)}`]
  if (path === undefined) return [...verbFault, 'it has no path']
  if (more.length > 0) return [...verbFault, 'it has more than one space']
  return [...verbFault, ...pathFaults(path)]
}

function pathFaults(path: string): string[] {
  const absolute = path.startsWith('/') ? [] : ['the path does not begin with /']
  if (/[?#]/.test(path)) return [...absolute, 'a path has no query']
  const segments = path.replace(/^\//, '').split('/')
  const names = segments.filter((segment) => parameter.test(segment))
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
  return [
    ...absolute,
    ...(path.includes('//') ? ['a segment is empty'] : []),
    ...segments.flatMap(segmentFault),
    ...twice.map((name) => `${name} stands there twice`),
  ]
}

function segmentFault(segment: string): string[] {
  if (segment === '' || parameter.test(segment)) return []
  if (/[{}]/.test(segment)) return [`${JSON.stringify(segment)} is not one \`{name}\``]
  if (dots.test(segment)) return [`${JSON.stringify(segment)} leads elsewhere`]
  if (segment.startsWith(':')) return [`${JSON.stringify(segment)} is not how a parameter is written`]
  return literal.test(segment) ? [] : [`${JSON.stringify(segment)} has a character that no path has`]
}

/** The nearest route that is one. */
function suggestion(route: unknown): string {
  const [first = '', ...others] = String(route).trim().split(/\s+/)
  const verb = verbs.find((each) => each === first.toUpperCase()) ?? 'GET'
  const path = (others.length > 0 ? others.join('-') : first).replace(/[?#].*/, '')
  const seen = new Map<string, number>()
  const segments = path.split('/').flatMap((segment) => {
    const name = segment.replace(/[^A-Za-z0-9._~-]/g, '')
    if (name === '' || dots.test(name)) return []
    if (!/[{}]|^:/.test(segment)) return [name]
    const plain = name.replace(/[^A-Za-z0-9_]/g, '').replace(/^\d+/, '') || 'id'
    const times = (seen.get(plain) ?? 0) + 1
    seen.set(plain, times)
    return [`{${plain}${times > 1 ? times : ''}}`]
  })
  return `${verb} /${segments.join('/')}`
}

function routedOf(system: SystemNode): Routed[] {
  const apis = [
    ...system.services.flatMap((service) => service.spec.exposes ?? []),
    ...system.exposures.map((exposure) => exposure.api),
    ...allEdges(system, 'calls').map(({ edge }) => edge.api),
  ]
  const interfaces = [...new Set(apis)].filter((api): api is RestApi => api.kind === 'rest')
  const externals = [...new Set(allEdges(system, 'reaches').map(({ edge }) => edge.external))]
  return [
    ...interfaces.map(({ name, routes, streams = [] }) => ({ place: `interface ${name}`, routes, streams })),
    ...externals.map(({ name, routes }) => ({ place: `external ${name}`, routes })),
  ]
}
