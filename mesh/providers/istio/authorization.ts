import type { Link, MethodRef, PlannedExposure } from '#plan/plan.ts'
import { edgeOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { gatewayRef } from './config.ts'
import { policyPath } from './match.ts'
import { principalOf } from './mtls.ts'
import { istioObject, nameOf, type Spec } from './objects.ts'

/** What no policy allows is refused, everywhere in the namespace. */
export function defaultDeny(site: Site): Manifest {
  return istioObject(site, 'AuthorizationPolicy', { name: 'default-deny', owner: site.system, spec: {} })
}

/**
 * The default deny holds for the Gateway too, which stands in the same namespace. What it passes on is what its routes
 * say, and each service asks again whether it may.
 */
export function allowIntoGateway(site: Site): Manifest {
  return istioObject(site, 'AuthorizationPolicy', {
    name: 'edge',
    owner: site.system,
    spec: { targetRefs: [gatewayRef(edgeOf(site).gateway)], action: 'ALLOW', rules: [{}] },
  })
}

/** Lets one caller in, to the methods that it declared. */
export function allowCaller(site: Site, { from, to, routes }: Link): Manifest {
  const methods = routes.flatMap((route) => route.methods)
  const source = { principals: [principalOf(site, from)] }
  return allow(site, { name: nameOf(from, to), service: to, rule: { from: [{ source }], to: operations(methods) } })
}

/** Lets the Gateway in, to the methods of one exposure; with a token alone where it asks for one. */
export function allowExposure(site: Site, exposure: PlannedExposure): Manifest {
  const { name, service, authentication, methods } = exposure
  const token = authentication.kind === 'jwt' ? authentication : null
  const source = {
    principals: [gatewayPrincipal(site)],
    ...(token ? { requestPrincipals: [`${token.issuer}/*`] } : {}),
  }
  const when = token ? { when: [{ key: 'request.auth.audiences', values: [token.audience] }] } : {}
  const rule = { from: [{ source }], to: operations(methods), ...when }
  return allow(site, { name: nameOf(name, service, 'exposure'), service, rule })
}

/** Who the Gateway's pods are. */
export function gatewayPrincipal(site: Site): string {
  return principalOf(site, edgeOf(site).account)
}

/** Verifies the tokens that a service's exposures ask for; a call without one goes on, for the policies to judge. */
export function verifyTokens(site: Site, service: string, exposures: readonly PlannedExposure[]): readonly Manifest[] {
  const rules = new Map<string, { issuer: string; audiences: string[] }>()
  for (const { authentication } of exposures) {
    if (authentication.kind !== 'jwt') continue
    const { issuer, audience } = authentication
    const rule = rules.get(issuer) ?? { issuer, audiences: [] }
    rules.set(issuer, { issuer, audiences: [...new Set([...rule.audiences, audience])] })
  }
  if (rules.size === 0) return []
  const jwtRules = [...rules.values()].map((rule) => ({ ...rule, forwardOriginalToken: true }))
  const spec = { selector: selector(service), jwtRules }
  return [istioObject(site, 'RequestAuthentication', { name: service, owner: service, spec })]
}

function allow(site: Site, policy: { readonly name: string; readonly service: string; readonly rule: Spec }): Manifest {
  const { name, service, rule } = policy
  const spec = { selector: selector(service), action: 'ALLOW', rules: [rule] }
  return istioObject(site, 'AuthorizationPolicy', { name, owner: service, spec })
}

function selector(service: string): Spec {
  return { matchLabels: { app: service } }
}

/** One operation a verb: verbs and paths of one operation are each other's product. */
function operations(methods: readonly MethodRef[]): readonly Spec[] {
  const verbs = [...new Set(methods.map((method) => method.verb))]
  return verbs.map((verb) => {
    const paths = methods.filter((method) => method.verb === verb).map((method) => policyPath(method.path))
    return { operation: { methods: [verb], paths: [...new Set(paths)] } }
  })
}
