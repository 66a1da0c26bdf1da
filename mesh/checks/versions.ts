import { type RestApi, unversionedRoutes } from '#graph/api.ts'
import { type ApiVersion, dayMs, unversionedPath } from '#graph/version.ts'
import { byName } from './edges.ts'
import { type Breach, exposureOwner, rule } from './rule.ts'
import { list } from './text.ts'

/** What clients are told of a version can be kept. */
export const versions = rule({
  code: 'PLY408',
  title: 'A version ends after it was deprecated, and there is one to go to',
  why: 'Clients read the dates and plan by them. A version that ends before it was deprecated ends without a warning; one without a successor leaves its clients nowhere to go.',
  reference: 'RFC 9745, section 4; RFC 8594, section 1.4',
  check: (system) =>
    byName(system.exposures).flatMap((exposure) => {
      const { api } = exposure
      if (api.kind !== 'rest' || !api.versions) return []
      const owners = [exposureOwner(exposure)]
      return faultsOf(api, api.versions).map(({ at, ...fault }) => ({
        ...fault,
        path: [`exposure ${exposure.name}`, `interface ${api.name}`, ...(at ? [`version ${at}`] : [])],
        owners,
      }))
    }),
})

type Fault = Omit<Breach, 'path' | 'owners'> & { readonly at?: string }

function faultsOf(api: RestApi, versions: Readonly<Record<string, ApiVersion>>): Fault[] {
  const newest = Object.keys(versions).at(-1)
  return [
    ...ofRoutes(api),
    ...Object.entries(versions).flatMap(([at, version]) => [
      ...ofDates(version).map((fault) => ({ at, ...fault })),
      ...(at === newest ? ofNewest(version) : []).map((fault) => ({ at, ...fault })),
      ...ofLacking(api, version).map((fault) => ({ at, ...fault })),
    ]),
  ]
}

function ofDates({ deprecated, sunset }: ApiVersion): Fault[] {
  const wrong = [deprecated, sunset].filter((day) => day !== undefined && Number.isNaN(dayMs(day)))
  if (wrong.length > 0) {
    return wrong.map((day) => ({
      message: `${JSON.stringify(day)} is no day.`,
      cost: null,
      mend: "Write a day as '2027-06-30'.",
    }))
  }
  if (sunset === undefined) return []
  const warning = deprecated === undefined ? null : dayMs(sunset) - dayMs(deprecated)
  if (warning !== null && warning > 0) return []
  return [
    {
      message: `It is not served from ${sunset} on, and ${deprecated === undefined ? 'is not deprecated before' : `is deprecated on ${deprecated}`}.`,
      cost: 'Its clients are not warned before they are refused.',
      mend: `Declare \`deprecated\` as a day before ${sunset}, early enough for clients to change.`,
    },
  ]
}

function ofNewest({ deprecated, sunset, lacks = [] }: ApiVersion): Fault[] {
  const ended = [deprecated && 'deprecated', sunset && 'sunset'].filter(Boolean)
  return [
    ...(ended.length > 0
      ? [
          {
            message: `It is the newest version and has \`${ended.join('` and `')}\`.`,
            cost: 'Its clients have no version to go to.',
            mend: 'Declare its successor after it, or take the dates away.',
          },
        ]
      : []),
    ...(lacks.length > 0
      ? [
          {
            message: `It is the newest version, which handlers speak, and lacks ${list(lacks)}.`,
            cost: null,
            mend: 'Take `lacks` away: what no newest version has is no route.',
          },
        ]
      : []),
  ]
}

function ofLacking({ name, routes }: RestApi, { lacks = [] }: ApiVersion): Fault[] {
  const unknown = lacks.filter((route) => !Object.hasOwn(routes, route))
  if (unknown.length === 0) return []
  return [
    {
      message: `It lacks ${list(unknown)}, which ${name} has not.`,
      cost: 'The route that was meant is served in this version, too.',
      mend: `Name routes of the interface: ${list(Object.keys(routes))}.`,
    },
  ]
}

/** A path without its version must not be another route. */
function ofRoutes(api: RestApi): Fault[] {
  const none = Object.values(api.routes).every((route) => unversionedPath(route) === null)
  if (none) {
    return [
      {
        message: `${api.name} has versions, and no route of it has \`{version}\` in its path.`,
        cost: 'All versions are the same.',
        mend: 'Write the version into the paths, such as `GET /api/{version}/orders`.',
      },
    ]
  }
  const shape = (route: string) => route.replace(/\{[^{}/]*\}/g, '{}')
  const taken = new Map(Object.entries(api.routes).map(([name, route]) => [shape(route), name]))
  return unversionedRoutes(api).flatMap(({ of, path }) => {
    const [verb = ''] = String(api.routes[of]).split(' ')
    const other = taken.get(shape(`${verb} ${path}`))
    if (other === undefined) return []
    return [
      {
        message: `${of} without its version is ${verb} ${path}, which is ${other}.`,
        cost: null,
        mend: `Give ${other} a path of its own.`,
      },
    ]
  })
}
