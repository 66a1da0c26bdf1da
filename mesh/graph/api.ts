import type { DescService } from '@bufbuild/protobuf'

/** An HTTP route: the verb and a path whose `{names}` stand for one segment each, such as `GET /products/{id}`. */
export type Route = `${'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'} /${string}`

/** A REST interface: named routes, in any language. */
export type RestApi<Routes extends Record<string, Route> = Record<string, Route>> = {
  readonly kind: 'rest'
  readonly name: string
  readonly routes: Routes
  /** The routes whose answers are streams, such as server-sent events. */
  readonly streams?: readonly string[]
}

/** A GraphQL interface: one route, `POST /graphql`. */
export type GraphqlApi = { readonly kind: 'graphql'; readonly name: string }

/** What a service offers and another may call: a gRPC service by its descriptor, a REST or a GraphQL interface. */
export type Api = DescService | RestApi | GraphqlApi

/** The methods that may be named in a call to an interface: a gRPC service's methods, a REST interface's routes. */
export type MethodOf<A extends Api> = A extends DescService
  ? keyof A['method'] & string
  : A extends RestApi<infer Routes>
    ? keyof Routes & string
    : 'query'

/**
 * Declares a REST interface. Its idempotency follows from the verbs (RFC 9110: all but POST and PATCH are idempotent).
 * `streams` names the routes whose answers go on for as long as there is something to tell. Default: none.
 */
export function rest<const Routes extends Record<string, Route>>(
  name: string,
  routes: Routes,
  { streams }: { readonly streams?: readonly (keyof Routes & string)[] } = {},
): RestApi<Routes> {
  return { kind: 'rest', name, routes, ...(streams && { streams }) }
}

/** Declares a GraphQL interface. */
export function graphql(name: string): GraphqlApi {
  return { kind: 'graphql', name }
}

/** The name that findings, plans and identities use: a gRPC service's full name, or the REST interface's own. */
export function apiName(api: Api): string {
  return api.kind === 'service' ? api.typeName : api.name
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
  if (api.kind === 'graphql')
    return { verb: 'POST', path: '/graphql', streaming: false, streamsIn: false, idempotent: false, carriesKey: false }
  if (api.kind === 'rest') return restFacts(api, method)
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
  if (api.kind === 'graphql') return ['query']
  return api.kind === 'rest' ? Object.keys(api.routes) : Object.keys(api.method)
}

function restFacts(api: RestApi, method: string): MethodFacts {
  const route = api.routes[method]
  if (!route) throw new Error(`${api.name} has no route ${method}; it has ${Object.keys(api.routes).join(', ')}`)
  const [verb = '', path = ''] = route.split(' ')
  const idempotent = verb !== 'POST' && verb !== 'PATCH'
  const streaming = api.streams?.includes(method) ?? false
  return { verb, path, streaming, streamsIn: false, idempotent, carriesKey: false }
}
