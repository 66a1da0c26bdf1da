/**
 * What Istio's sidecars admit, from the meaning of its resources as its documentation gives it: PeerAuthentication,
 * AuthorizationPolicy and RequestAuthentication, and whether a pod has a sidecar at all. It knows nothing of how they
 * were rendered, and throws NotUnderstood for whatever it has no meaning for.
 */
import type { Manifest } from '#providers/manifest.ts'
import { type Loose, NotUnderstood, ofKind, once, only, type Pod, selects } from './objects.ts'

/** A request as it reaches a pod. `peer` is the SPIFFE identity of the certificate; null for plain text. */
export type IstioRequest = {
  readonly peer: { readonly namespace: string; readonly serviceAccount: string } | null
  readonly verb: string
  readonly path: string
  readonly port: number
  readonly token: { readonly issuer: string; readonly subject: string; readonly audiences: readonly string[] } | null
}

const trustDomain = 'cluster.local'
/** Policies here hold for the whole mesh. */
const rootNamespace = 'istio-system'

/** Whether the pod's sidecar lets a request through to the application. */
export function istioAdmits(objects: readonly Manifest[], pod: Pod, request: IstioRequest): boolean {
  if (!hasSidecar(objects, pod) || bypasses(pod, request.port)) return true
  const mode = () => once(objects, pod, `mtls ${request.port}`, () => mtlsMode(objects, pod, request.port))
  if (request.peer === null && mode() === 'STRICT') return false
  if (!tokenIsAccepted(objects, pod, request)) return false
  const { denying, allowing } = once(objects, pod, 'policies', () => policiesOn(objects, pod))
  const matches = ({ spec }: Loose): boolean => (spec.rules ?? []).some((rule: Loose) => ruleMatches(rule, request))
  if (denying.some(matches)) return false
  return allowing.length === 0 || allowing.some(matches)
}

/** The policies that hold for a pod, by what they do. */
function policiesOn(objects: readonly Manifest[], pod: Pod) {
  const policies = ofKind(objects, 'security.istio.io', 'AuthorizationPolicy').filter((policy) => applies(policy, pod))
  for (const { spec } of policies) only(spec, 'An AuthorizationPolicy', 'selector', 'action', 'rules')
  const withAction = (action: string): readonly Loose[] =>
    policies.filter(({ spec }) => (spec.action ?? 'ALLOW') === action)
  if (withAction('CUSTOM').length + withAction('AUDIT').length > 0) throw new NotUnderstood('CUSTOM and AUDIT policies')
  return { denying: withAction('DENY'), allowing: withAction('ALLOW') }
}

/** Whether Istio's webhook gives the pod a sidecar: the pod's own label decides, then its namespace's. */
function hasSidecar(objects: readonly Manifest[], { namespace, labels, annotations }: Pod): boolean {
  const own = labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject']
  const place = ofKind(objects, 'v1', 'Namespace').find(({ metadata }) => metadata.name === namespace)?.metadata.labels
  const byNamespace = place?.['istio-injection']
  if (byNamespace === 'disabled') return false
  if (byNamespace === 'enabled' || place?.['istio.io/rev'] !== undefined) return own !== 'false'
  return own === 'true'
}

/** Traffic to an excluded port never passes the sidecar. Ports of the sidecar's own are answered by it. */
function bypasses({ annotations }: Pod, port: number): boolean {
  const listed = (name: string): readonly string[] | undefined =>
    annotations[`traffic.sidecar.istio.io/${name}`]?.split(',').map((text) => text.trim())
  const included = listed('includeInboundPorts')
  if (included && !included.includes('*') && !included.includes(String(port))) return true
  return listed('excludeInboundPorts')?.includes(String(port)) ?? false
}

/** The workload's own PeerAuthentication wins over its namespace's, that over the mesh's. Without any it is PERMISSIVE. */
function mtlsMode(objects: readonly Manifest[], pod: Pod, port: number): string {
  const all = ofKind(objects, 'security.istio.io', 'PeerAuthentication')
  const ranked = [
    all.filter(({ metadata, spec }) => metadata.namespace === pod.namespace && spec.selector !== undefined),
    all.filter(({ metadata, spec }) => metadata.namespace === pod.namespace && spec.selector === undefined),
    all.filter(({ metadata, spec }) => metadata.namespace === rootNamespace && spec.selector === undefined),
  ]
  for (const candidates of ranked) {
    const chosen = candidates.filter(({ spec }) => selects(spec.selector ?? {}, pod.labels))
    if (chosen.length > 1) throw new NotUnderstood('Several PeerAuthentications of one scope')
    const mode = chosen[0]?.spec.portLevelMtls?.[port]?.mode ?? chosen[0]?.spec.mtls?.mode
    if (mode !== undefined && mode !== 'UNSET') return mode
  }
  return 'PERMISSIVE'
}

/** A token that is there must be one of the accepted; a request without any passes, with no principal. */
function tokenIsAccepted(objects: readonly Manifest[], pod: Pod, { token }: IstioRequest): boolean {
  const rules = ofKind(objects, 'security.istio.io', 'RequestAuthentication')
    .filter((policy) => applies(policy, pod))
    .flatMap(({ spec }) => spec.jwtRules ?? [])
  if (token === null || rules.length === 0) return true
  return rules.some(
    ({ issuer, audiences = [] }: Loose) =>
      issuer === token.issuer &&
      (audiences.length === 0 || audiences.some((audience: string) => token.audiences.includes(audience))),
  )
}

function applies({ metadata, spec }: Loose, pod: Pod): boolean {
  // Target references name gateways and waypoints; a sidecar takes no policy from them.
  if (spec.targetRefs !== undefined || spec.targetRef !== undefined) return false
  if (metadata.namespace !== pod.namespace && metadata.namespace !== rootNamespace) return false
  return selects(spec.selector ?? {}, pod.labels)
}

/** All of `from`, `to` and `when` must hold where they are given; a rule without any holds always. */
function ruleMatches(rule: Loose, request: IstioRequest): boolean {
  only(rule, 'A rule', 'from', 'to', 'when')
  const from = rule.from === undefined || rule.from.some(({ source }: Loose) => sourceMatches(source, request))
  const to = rule.to === undefined || rule.to.some(({ operation }: Loose) => operationMatches(operation, request))
  const when = (rule.when ?? []).every((condition: Loose) => conditionHolds(condition, request))
  return from && to && when
}

function sourceMatches(source: Loose, { peer, token }: IstioRequest): boolean {
  const names = ['principals', 'namespaces', 'serviceAccounts', 'requestPrincipals']
  only(source, 'A source', ...names, ...names.map(negated))
  const principal = peer && `${trustDomain}/ns/${peer.namespace}/sa/${peer.serviceAccount}`
  const account = peer && `${peer.namespace}/${peer.serviceAccount}`
  return (
    listHolds(source, 'principals', principal, textMatches) &&
    listHolds(source, 'namespaces', peer?.namespace ?? null, textMatches) &&
    listHolds(source, 'serviceAccounts', account, textMatches) &&
    listHolds(source, 'requestPrincipals', token && `${token.issuer}/${token.subject}`, textMatches)
  )
}

function operationMatches(operation: Loose, { verb, path, port }: IstioRequest): boolean {
  const names = ['methods', 'paths', 'ports']
  only(operation, 'An operation', ...names, ...names.map(negated))
  // Policies see the path without its query.
  const [plain = ''] = path.split('?')
  return (
    listHolds(operation, 'methods', verb, textMatches) &&
    listHolds(operation, 'paths', plain, pathMatches) &&
    listHolds(operation, 'ports', String(port), textMatches)
  )
}

function conditionHolds(condition: Loose, { token }: IstioRequest): boolean {
  only(condition, 'A condition', 'key', 'values')
  if (condition.key !== 'request.auth.audiences') throw new NotUnderstood(`A condition on ${condition.key}`)
  return condition.values.some((value: string) => token?.audiences.some((audience) => textMatches(value, audience)))
}

/** A list holds when one of its entries matches; its negation when none does. What is absent matches no entry. */
function listHolds(
  owner: Loose,
  name: string,
  value: string | null,
  matches: (pattern: string, value: string) => boolean,
): boolean {
  const hit = (patterns: readonly string[]): boolean =>
    value !== null && patterns.some((pattern) => matches(pattern, value))
  const list = owner[name]
  const not = owner[negated(name)]
  return (list === undefined || hit(list)) && (not === undefined || !hit(not))
}

function negated(name: string): string {
  return `not${name.charAt(0).toUpperCase()}${name.slice(1)}`
}

/** Exact, `*` for any that is not empty, `abc*` and `*abc`. */
function textMatches(pattern: string, value: string): boolean {
  if (pattern === '*') return value !== ''
  if (pattern.endsWith('*')) return value.startsWith(pattern.slice(0, -1))
  if (pattern.startsWith('*')) return value.endsWith(pattern.slice(1))
  return pattern === value
}

/** Paths also know templates: `{*}` is one segment, `{**}` is any number of them. */
function pathMatches(pattern: string, path: string): boolean {
  if (!pattern.includes('{')) return textMatches(pattern, path)
  const known = templates.get(pattern) ?? templateOf(pattern)
  templates.set(pattern, known)
  return known.test(path)
}

const templates = new Map<string, RegExp>()

function templateOf(pattern: string): RegExp {
  const parts = pattern.split(/(\{\*\*\}|\{\*\})/).map((part) => {
    if (part === '{**}') return '.*'
    return part === '{*}' ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('')}$`)
}
