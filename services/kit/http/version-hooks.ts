import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RestApi } from '#graph/api.ts'
import { versionedPath } from '#graph/version.ts'
import { httpProblem, type Problem } from './problem.ts'
import { sendProblem } from './problem-answer.ts'
import { splitRoute } from './route-template.ts'
import { askedPathOf, exchangeOf, pathOf } from './stack.ts'
import {
  asksForMediaType,
  isRetired,
  successorOf,
  versionedRoutesAt,
  versionHeaders,
  versionMediaType,
  versionsServed,
} from './versions.ts'

type Where = { readonly instance: string; readonly correlationId: string }

/** What a route of a version does beside its handler: it says which it is and until when, and refuses once it has ended. */
export function versionHooks(api: RestApi, name: string, version: string, nowMs: () => number) {
  const { template } = splitRoute(api.routes[name] ?? '')
  const headers = versionHeaders(api, version)
  const successor = successorOf(api, name, version)
  const type = versionMediaType(api, version)
  const at = versionedPath(template, version).split('/').indexOf(version)
  return {
    onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
      if (!isRetired(api.versions?.[version], nowMs())) {
        done()
        return
      }
      const where = { instance: askedPathOf(request), correlationId: exchangeOf(request).correlationId }
      const detail = `${version} is not served since ${api.versions?.[version]?.sunset}.`
      sendProblem(reply, withVersions('version-retired', detail, where, versionsServed(api, nowMs(), name)))
    },
    onSend(request: FastifyRequest, reply: FastifyReply, payload: unknown, done: (e: null, p: unknown) => void): void {
      const path = pathOf(request)
      reply.headers(headers)
      // Where the path says the version, the other headers do not matter.
      const varies = path === askedPathOf(request) ? ['accept'] : ['accept', 'content-type', 'accept-version']
      reply.header('vary', [reply.getHeader('vary'), ...varies].flat().filter(Boolean).join(', '))
      if (successor !== undefined) reply.header('link', `<${replaced(path, at, successor)}>; rel="successor-version"`)
      const isJson = String(reply.getHeader('content-type') ?? '').startsWith('application/json')
      if (isJson && asksForMediaType(api, request, version)) reply.type(type)
      done(null, payload)
    },
  }
}

/** Headers of an answer in one version: what is told apart by an entity tag is another thing in another version. */
export function ofVersion(
  headers: Readonly<Record<string, string>> = {},
  version: string | null,
): Readonly<Record<string, string>> {
  const { etag } = headers
  return version === null || etag === undefined ? headers : { ...headers, etag: etag.replace(/"$/, `;${version}"`) }
}

/** The document for a path whose version is none, or does not have this route; undefined where neither is the matter. */
export function refusedVersion(api: RestApi, path: string, where: Where, nowMs: number): Problem | undefined {
  const routes = versionedRoutesAt(api, path)
  const [first] = routes
  if (!first) return undefined
  const { version } = first
  if (!Object.hasOwn(api.versions ?? {}, version)) {
    const shown = JSON.stringify(decoded(version).slice(0, 32))
    return withVersions('unknown-version', `There is no version ${shown}.`, where, versionsServed(api, nowMs))
  }
  // Of the routes at this path, one that the version has was asked with another verb.
  if (routes.some(({ name }) => !api.versions?.[version]?.lacks?.includes(name))) return undefined
  const having = [...new Set(routes.flatMap(({ name }) => versionsServed(api, nowMs, name)))]
  return withVersions('unknown-version', `${version} does not have this.`, where, having)
}

function withVersions(
  code: 'unknown-version' | 'version-retired',
  detail: string,
  where: Where,
  versions: readonly string[],
): Problem {
  return { ...httpProblem(code, `${detail} Ask for ${versions.join(' or ')}.`, where), versions }
}

function replaced(path: string, index: number, segment: string): string {
  return path
    .split('/')
    .map((part, at) => (at === index ? segment : part))
    .join('/')
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
