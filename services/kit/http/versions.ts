import type { RestApi } from '#graph/api.ts'
import { type ApiVersion, dayMs, unversionedPath, versionedPath } from '#graph/version.ts'
import { matchesTemplate, splitRoute, templatePattern } from './route-template.ts'

/** A route as it is served: of an interface with versions, once a version that has it. */
export type ServedRoute = {
  readonly name: string
  readonly verb: string
  readonly template: string
  /** Null where the interface has no versions, or the path has none. */
  readonly version: string | null
}

/** The routes of an interface as they are served, each version's under its own path. */
export function servedRoutes(api: RestApi): readonly ServedRoute[] {
  return Object.entries(api.routes).flatMap(([name, declared]): ServedRoute[] => {
    const { verb, template } = splitRoute(declared)
    if (!isVersioned(api, template)) return [{ name, verb, template, version: null }]
    return versionsWith(api, name).map((version) => ({
      name,
      verb,
      template: versionedPath(template, version),
      version,
    }))
  })
}

/** What of a request says which version is meant. */
export type Asking = {
  readonly verb: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/**
 * Gives a request the path of the version that it asks for, and takes the word out of its query. The first that says one
 * decides, and the others are not looked at: the path, the media type (`accept`, then `content-type`), the header
 * `accept-version`, the query's `version`. Where none does, it is the oldest version still served that has the route, so
 * that a new version changes nothing for those who name none, and they are warned before it ends. What is said and no
 * version is put into the path as well, where nothing is found then.
 */
export function versionRewriter(api: RestApi, nowMs: () => number): (asking: Asking) => string {
  const routes = Object.entries(api.routes).flatMap(([name, declared]) => {
    const { verb, template } = splitRoute(declared)
    const bare = unversionedPath(template)
    if (!isVersioned(api, template) || bare === null) return []
    return [{ name, verb, template, bare: templatePattern(bare), full: templatePattern(template) }]
  })
  const media = new RegExp(`^application/vnd\\.${RegExp.escape(vendorOf(api))}\\.([^;+\\s]+)\\+json`, 'i')
  return ({ verb, url, headers }) => {
    const [path = '', ...rest] = url.split('?')
    const query = new URLSearchParams(rest.join('?'))
    const asked = query.get('version')
    const search = asked === null ? rest.join('?') : withoutVersion(query)
    const end = search === '' ? '' : `?${search}`
    // What is in front of us lets a path in as the route that it fits with any segment for its version. It stays that route here.
    const stays = (route: (typeof routes)[number]) =>
      route.full.test(path) && (route.verb === verb || looksLikeVersion(segmentOf(route.template, path)))
    if (routes.some(stays)) return `${path}${end}`
    const here = routes.filter(({ bare }) => bare.test(path))
    const route = here.find((one) => one.verb === verb) ?? here[0]
    if (!route) return routes.some(({ full }) => full.test(path)) ? `${path}${end}` : url
    const stated =
      fromAccept(one(headers.accept), media, api) ??
      mediaVersion(one(headers['content-type']) ?? '', media) ??
      (one(headers['accept-version'])?.trim() || asked?.trim() || defaultVersion(api, route.name, nowMs()))
    const version = /^\d+$/.test(stated) ? `v${stated}` : stated
    const before = route.template.slice(0, route.template.indexOf('/{version}'))
    return `${before}/${encodeURIComponent(version)}${path.slice(before.length)}${end}`
  }
}

/** The versions that have a route, the oldest first. */
export function versionsWith({ versions = {} }: RestApi, route: string): readonly string[] {
  return Object.entries(versions)
    .filter(([, { lacks = [] }]) => !lacks.includes(route))
    .map(([name]) => name)
}

/** The versions that are served at a moment, the oldest first; `route` leaves only those that have it. */
export function versionsServed(api: RestApi, nowMs: number, route?: string): readonly string[] {
  const all = route === undefined ? Object.keys(api.versions ?? {}) : versionsWith(api, route)
  return all.filter((name) => !isRetired(api.versions?.[name], nowMs))
}

/** Whether a version is not served any more. */
export function isRetired(version: ApiVersion | undefined, nowMs: number): boolean {
  return version?.sunset !== undefined && nowMs >= dayMs(version.sunset)
}

/** The routes with versions that a path could be of, whatever version and verb, and the version that stands in it. */
export function versionedRoutesAt(
  api: RestApi,
  path: string,
): readonly { readonly name: string; readonly verb: string; readonly version: string }[] {
  return Object.entries(api.routes).flatMap(([name, declared]) => {
    const { verb, template } = splitRoute(declared)
    if (!isVersioned(api, template) || !matchesTemplate(template, path)) return []
    return [{ name, verb, version: segmentOf(template, path) }]
  })
}

/** The media type of a version, such as `application/vnd.parley.v1+json`. */
export function versionMediaType(api: RestApi, version: string): string {
  return `application/vnd.${vendorOf(api)}.${version}+json`
}

/** The media types of all versions of an interface, as a pattern that bodies are taken by. */
export function versionMediaTypes(api: RestApi): RegExp {
  return new RegExp(`^application/vnd\\.${RegExp.escape(vendorOf(api))}\\.v\\d+\\+json(?:$|[;\\s])`, 'i')
}

/** Whether the answer to a request is to have its version's media type, because the client takes that one. */
export function asksForMediaType(api: RestApi, { headers }: Pick<Asking, 'headers'>, version: string): boolean {
  const type = versionMediaType(api, version)
  return accepted(one(headers.accept)).some((range) => range === type)
}

/** What every answer of a version says of it: which it is, and since when it should not be used and until when it may be. */
export function versionHeaders(api: RestApi, version: string): Readonly<Record<string, string>> {
  const { deprecated, sunset } = api.versions?.[version] ?? {}
  return {
    'api-version': version,
    ...(deprecated !== undefined && { deprecation: `@${dayMs(deprecated) / 1_000}` }),
    ...(sunset !== undefined && { sunset: new Date(dayMs(sunset)).toUTCString() }),
  }
}

/** The version to go to from one that is deprecated: the next that has the route and is none itself. */
export function successorOf(api: RestApi, route: string, version: string): string | undefined {
  if (api.versions?.[version]?.deprecated === undefined) return undefined
  const all = versionsWith(api, route)
  return all.slice(all.indexOf(version) + 1).find((name) => api.versions?.[name]?.deprecated === undefined)
}

function isVersioned(api: RestApi, template: string): boolean {
  return api.versions !== undefined && unversionedPath(template) !== null
}

function defaultVersion(api: RestApi, route: string, nowMs: number): string {
  return versionsServed(api, nowMs, route)[0] ?? Object.keys(api.versions ?? {}).at(-1) ?? ''
}

/** The version of the best media type that we have; an unknown one where the client takes nothing else of ours. */
function fromAccept(accept: string | undefined, media: RegExp, api: RestApi): string | undefined {
  const ranges = accepted(accept)
  const asked = ranges.flatMap((range) => mediaVersion(range, media) ?? [])
  const known = asked.find((version) => Object.hasOwn(api.versions ?? {}, version))
  const any = ranges.some((range) => ['*/*', 'application/*', 'application/json'].includes(range))
  return known ?? (any ? undefined : asked[0])
}

/** The media ranges that a client takes, those it likes best first. */
function accepted(accept = ''): readonly string[] {
  return accept
    .split(',')
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      const weight = parameters.find((parameter) => parameter.startsWith('q='))
      return { type, weight: weight === undefined ? 1 : Number(weight.slice(2)) }
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ type }) => type)
}

function mediaVersion(type: string, media: RegExp): string | undefined {
  return media.exec(type)?.[1]?.toLowerCase()
}

function looksLikeVersion(segment: string): boolean {
  return /^v\d+$/i.test(segment)
}

function segmentOf(template: string, path: string): string {
  return path.split('/')[template.split('/').indexOf('{version}')] ?? ''
}

function withoutVersion(query: URLSearchParams): string {
  query.delete('version')
  return query.toString()
}

function vendorOf({ vendor = 'parley' }: RestApi): string {
  return vendor
}

function one(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]
}
