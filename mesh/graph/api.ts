import type { DescService } from '@bufbuild/protobuf'
import { type ApiVersion, unversionedPath } from './version.ts'

/** An HTTP route: the verb and a path whose `{names}` stand for one segment each, such as `GET /products/{id}`. */
export type Route = `${'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'} /${string}`

/** A REST interface: named routes, in any language. */
export type RestApi<Routes extends Record<string, Route> = Record<string, Route>> = {
  readonly kind: 'rest'
  readonly name: string
  readonly routes: Routes
  /** The routes whose answers are streams, such as server-sent events. */
  readonly streams?: readonly string[]
  /** The versions under which the routes with `{version}` in them are served, the oldest first. */
  readonly versions?: Readonly<Record<string, ApiVersion>>
  /** The name in the media types of its versions: `application/vnd.<vendor>.v1+json`. */
  readonly vendor?: string
}

/** A GraphQL interface: `query` is `POST /graphql`, `subscribe` is `GET /graphql/stream`, whose answers are server-sent events. */
export type GraphqlApi<N extends string = string> = {
  readonly kind: 'graphql'
  readonly name: N
  /** Whether operations are taken that are not in the list of known ones, and the schema may be asked for, in every environment. */
  readonly open: boolean
}

/** What a service offers and another may call: a gRPC service by its descriptor, a REST or a GraphQL interface. */
export type Api = DescService | RestApi | GraphqlApi

/** The methods that may be named in a call to an interface: a gRPC service's methods, a REST interface's routes. */
export type MethodOf<A extends Api> = A extends DescService
  ? keyof A['method'] & string
  : A extends RestApi<infer Routes>
    ? keyof Routes & string
    : keyof typeof graphqlRoutes

/** What else a REST interface is declared with; every word has a default. */
export type RestSpec<Name extends string = string> = {
  /** The routes whose answers go on for as long as there is something to tell. Default: none. */
  readonly streams?: readonly Name[]
  /**
   * Versions by name, the oldest first; the last is the one that handlers speak. A route with `{version}` in its path is served
   * under each, such as `/api/v1/orders`, and without that segment, where a header, a media type or the query says which.
   * Default: the interface has no versions.
   */
  readonly versions?: Readonly<Record<string, ApiVersion<Name>>>
  /** Default: `parley`. */
  readonly vendor?: string
}

/** Declares a REST interface. Its idempotency follows from the verbs (RFC 9110: all but POST and PATCH are idempotent). */
export function rest<const Routes extends Record<string, Route>>(
  name: string,
  routes: Routes,
  spec: RestSpec<keyof Routes & string> = {},
): RestApi<Routes> {
  return { kind: 'rest', name, routes, ...spec }
}

/**
 * Declares a GraphQL interface. `open`: any operation is taken wherever it runs. Default: false, so that only a local run takes
 * operations that nobody has looked at.
 */
export function graphql<const N extends string>(
  name: N,
  { open = false }: { readonly open?: boolean } = {},
): GraphqlApi<N> {
  return { kind: 'graphql', name, open }
}

/** The routes of every GraphQL interface. A subscription is a GET, which is what a browser opens again by itself. */
export const graphqlRoutes = { query: 'POST /graphql', subscribe: 'GET /graphql/stream' } as const

/** The name that findings, plans and identities use: a gRPC service's full name, or the REST interface's own. */
export function apiName(api: Api): string {
  return api.kind === 'service' ? api.typeName : api.name
}

/** Where a REST interface describes itself: several at one host are told apart by their names. */
export function descriptionPath({ name }: Pick<RestApi, 'name'>): `/openapi/${string}.json` {
  return `/openapi/${name}.json`
}

/** One method of an interface, in the words of HTTP and of what a retry may rely on. */
export type MethodFacts = {
  readonly verb: string
  /** The path template; for gRPC `/package.Service/Method`. */
  readonly path: string
  readonly streaming: boolean
  /** Whether the request itself is a stream, which is not whole until its caller says so. */
  readonly streamsIn: boolean
  /** Whether a second attempt is harmless by the contract: the proto's `idempotency_level`, or the HTTP verb. */
  readonly idempotent: boolean
  /** Whether the request has a field `idempotency_key`, so that the callee recognises a second attempt. */
  readonly carriesKey: boolean
}

/** Looks a method up. Throws on a name that the interface lacks, which the types refuse before. */
export function methodFacts(api: Api, method: string): MethodFacts {
  if (api.kind === 'graphql') return routeFacts(api.name, graphqlRoutes, ['subscribe'], method)
  if (api.kind === 'rest') return routeFacts(api.name, api.routes, api.streams ?? [], method)
  const found = api.method[method]
  if (!found) throw new Error(`${api.typeName} has no method ${method}; it has ${Object.keys(api.method).join(', ')}`)
  return {
    verb: 'POST',
    path: `/${api.typeName}/${found.name}`,
    streaming: found.methodKind !== 'unary',
    streamsIn: found.methodKind === 'client_streaming' || found.methodKind === 'bidi_streaming',
    idempotent: found.idempotency > 0,
    carriesKey: found.input.fields.some((field) => field.name === 'idempotency_key'),
  }
}

/** All methods of an interface, in the order of their declaration. */
export function methodsOf(api: Api): readonly string[] {
  if (api.kind === 'graphql') return Object.keys(graphqlRoutes)
  return api.kind === 'rest' ? Object.keys(api.routes) : Object.keys(api.method)
}

/**
 * The routes of an interface that are open beside the declared ones: those with versions, under their path without the
 * version. No edge inside names them; a caller of ours says which version it speaks in the path.
 */
export function unversionedRoutes(api: Api): readonly { readonly name: string; readonly path: string; of: string }[] {
  if (api.kind !== 'rest' || !api.versions) return []
  return methodsOf(api).flatMap((of) => {
    const path = unversionedPath(methodFacts(api, of).path)
    return path === null ? [] : [{ name: `${of}Unversioned`, path, of }]
  })
}

function routeFacts(
  api: string,
  routes: Readonly<Record<string, Route>>,
  streams: readonly string[],
  method: string,
): MethodFacts {
  const route = routes[method]
  if (!route) throw new Error(`${api} has no route ${method}; it has ${Object.keys(routes).join(', ')}`)
  const [verb = '', path = ''] = route.split(' ')
  const idempotent = verb !== 'POST' && verb !== 'PATCH'
  return { verb, path, streaming: streams.includes(method), streamsIn: false, idempotent, carriesKey: false }
}
