/**
 * Who may call what, by evaluators of the rendered policies that were written from the meshes' documentation alone: for
 * every identity, every method of every service, on every service. What they give must be the declared edges, and the
 * few things beside them that are named here.
 */
import { describe, expect, test } from '@jest/globals'
import type { MethodRef, Plan, PlannedService } from '#plan/plan.ts'
import type { Mesh } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type IstioRequest, istioAdmits } from '../evaluators/istio.ts'
import { linkerdAnswers } from '../evaluators/linkerd.ts'
import { type Loose, ofKind, type Pod, podsOf, without } from '../evaluators/objects.ts'
import { type RenderedCase, renderedCases } from '../fixtures/rendered.ts'
import { closedExposures } from './not-supported.ts'

type Subject = {
  readonly name: string
  readonly account: IstioRequest['peer']
  readonly token: IstioRequest['token']
}
type Call = { readonly verb: string; readonly path: string }

const appPort = 8080
const adminPort = 9464
const adminCalls: readonly Call[] = ['/metrics', '/livez', '/readyz', '/', '/debug'].map((path) => ({
  verb: 'GET',
  path,
}))
const proxyPort = 4191
const proxyCalls: readonly Call[] = ['/metrics', '/live', '/ready', '/shutdown', '/proxy-log-level'].map((path) => ({
  verb: 'GET',
  path,
}))
const health: Call = { verb: 'POST', path: '/grpc.health.v1.Health/Check' }
const strangeCalls: readonly Call[] = [
  health,
  { verb: 'POST', path: '/grpc.health.v1.Health/Watch' },
  { verb: 'POST', path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo' },
  { verb: 'GET', path: '/' },
  { verb: 'GET', path: '/no/such/path' },
  { verb: 'OPTIONS', path: '/' },
]

const cases = renderedCases().filter(({ mesh }) => mesh !== 'none')

describe('calls', () => {
  test.each(cases)('$title', (rendered) => {
    expect(admitted(rendered, rendered.objects)).toEqual(declared(rendered))
  })
})

describe('on Linkerd a call that is not declared is forbidden, not unknown', () => {
  const meshed = cases.filter(({ mesh }) => mesh === 'linkerd')
  /** What is answered with NOT_FOUND of a service's own interfaces, to whomever. */
  const unknown = (rendered: RenderedCase, objects: readonly Manifest[]): readonly string[] => {
    const pods = podsOf(rendered.objects)
    return rendered.plan.services.flatMap((service) => {
      const pod = pods.get(service.name)
      if (!pod || service.protocol === null) return []
      return subjectsOf(rendered).flatMap(({ name, account: client }) =>
        ownCalls(service)
          .filter((call) => linkerdAnswers(objects, pod, { ...call, port: appPort, client }) === 'notFound')
          .map((call) => line(name, service.name, call, appPort)),
      )
    })
  }

  test.each(meshed)('$title', (rendered) => {
    expect(unknown(rendered, rendered.objects)).toEqual([])
  })

  test.each(meshed.filter(({ environment }) => environment === 'kind'))(
    'a route that refuses the rest and is gone is noticed: $title',
    (rendered) => {
      const refusing = rendered.objects.filter(({ metadata }) => metadata.name.endsWith('.refuse'))
      expect(refusing).toHaveLength(rendered.plan.services.filter(({ protocol }) => protocol !== null).length)
      const unnoticed = refusing.filter(
        (route) => unknown(rendered, without(rendered.objects, route)).length === 0 && hasRoutes(rendered, route),
      )
      expect(unnoticed.map(({ metadata }) => metadata.name)).toEqual([])
    },
  )
})

describe('the evaluator notices', () => {
  const policies = (objects: readonly Manifest[]): readonly Loose[] =>
    objects.filter(({ kind }) => /^(AuthorizationPolicy|PeerAuthentication|MeshTLSAuthentication|Server)$/.test(kind))
  test.each(cases.filter(({ environment }) => environment === 'kind'))(
    'every policy that is gone: $title',
    (rendered) => {
      const whole = admitted(rendered, rendered.objects)
      const unnoticed = policies(rendered.objects).filter((policy) => {
        const rest = without(rendered.objects, policy)
        return JSON.stringify(attempt(() => admitted(rendered, rest))) === JSON.stringify(whole)
      })
      const alone = unnoticed.filter((policy) => !isSecondLock(policy, rendered))
      expect(alone.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([])
    },
  )

  test('plain text where mutual TLS is not strict', () => {
    const [istio] = cases.filter(({ mesh }) => mesh === 'istio')
    if (!istio) throw new Error('There is no case with Istio')
    // With a rule for everybody, strict mutual TLS is all that keeps those without an identity out.
    const open = istio.objects.map((object) =>
      object.kind === 'AuthorizationPolicy' ? { ...object, spec: { ...(object.spec as object), rules: [{}] } } : object,
    )
    const lax = open.filter(({ kind }) => kind !== 'PeerAuthentication')
    const nobody = (objects: readonly Manifest[]): number =>
      admitted(istio, objects).filter((text) => text.startsWith('nobody')).length
    expect(nobody(open)).toBe(0)
    expect(nobody(lax)).toBeGreaterThan(0)
  })

  test.each(cases.filter(({ environment }) => environment === 'kind'))('one edge too many: $title', (rendered) => {
    const { plan, mesh, objects } = rendered
    const link = plan.links[0]
    if (!link) throw new Error('The case has no call')
    const widened = JSON.parse(
      JSON.stringify(objects).replaceAll(...widening(mesh, plan, link.from)),
    ) as readonly Manifest[]
    expect(admitted(rendered, widened)).not.toEqual(declared(rendered))
  })
})

/** Policies beside which another one refuses the same: taking such a one away changes nothing by itself. */
function isSecondLock({ kind, metadata }: Loose, { plan, mesh }: RenderedCase): boolean {
  const called = new Set([...plan.links.map(({ to }) => to), ...plan.exposures.map(({ service }) => service)])
  switch (`${mesh} ${kind} ${metadata.name}`) {
    case 'istio AuthorizationPolicy edge':
      // It is for the gateway's own proxies, which this test has no part in.
      return true
    case 'istio PeerAuthentication default':
      // Every rule names principals, which plain text has none of.
      return true
    case 'istio AuthorizationPolicy default-deny':
      // A service with an allowance refuses the rest by itself.
      return plan.services.every(({ name }) => called.has(name))
    default:
      // The namespace's default refuses what nobody may call, too.
      return kind === 'Server' && !isOpen(metadata.name, plan, mesh)
  }
}

function isOpen(service: string, plan: Plan, mesh: Mesh): boolean {
  const closed = closedExposures({ plan, mesh })
  const exposed = plan.exposures.some(({ name, service: of }) => of === service && !closed.includes(name))
  return exposed || service.includes('.') || plan.links.some(({ to }) => to === service)
}

/** Replaces one caller by all of its mesh. */
function widening(mesh: Mesh, { namespace }: Plan, from: string): [string, string] {
  return mesh === 'istio'
    ? [`"cluster.local/ns/${namespace}/sa/${from}"`, `"cluster.local/ns/${namespace}/*"`]
    : [`{"kind":"ServiceAccount","name":"${from}"}`, `{"kind":"Namespace","name":"${namespace}"}`]
}

/** What the policies let through, as sorted lines. */
function admitted(rendered: RenderedCase, objects: readonly Manifest[]): readonly string[] {
  const { plan, mesh } = rendered
  const pods = podsOf(rendered.objects)
  const subjects = subjectsOf(rendered)
  return plan.services
    .flatMap((service) => {
      const pod = pods.get(service.name)
      if (!pod) throw new Error(`No Deployment is rendered for ${service.name}`)
      return subjects.flatMap((subject) =>
        [
          ...requestsTo(service, plan).map((call) => [call, appPort] as const),
          ...adminCalls.map((call) => [call, adminPort] as const),
          ...(mesh === 'linkerd' ? proxyCalls : []).map((call) => [call, proxyPort] as const),
        ]
          .filter(([call, port]) => admits(mesh, objects, pod, subject, call, port))
          .map(([call, port]) => line(subject.name, service.name, call, port)),
      )
    })
    .sort()
}

function admits(
  mesh: Mesh,
  objects: readonly Manifest[],
  pod: Pod,
  subject: Subject,
  call: Call,
  port: number,
): boolean {
  if (mesh === 'istio') return istioAdmits(objects, pod, { ...call, port, peer: subject.account, token: subject.token })
  return linkerdAnswers(objects, pod, { ...call, port, client: subject.account }) === 'admitted'
}

/** Every identity there is, the same names elsewhere, strangers, the gateway with tokens and without, and nobody. */
function subjectsOf({ plan, mesh, objects }: RenderedCase): readonly Subject[] {
  const inside = [...plan.services.map(({ name }) => name), 'default']
  const outside = [...plan.externals.map(({ name }) => name)]
  const of = (name: string, namespace: string, serviceAccount: string, token: Subject['token'] = null): Subject => ({
    name,
    account: { namespace, serviceAccount },
    token,
  })
  const gateway = gatewayAccount(mesh, objects)
  return [
    ...inside.map((name) => of(name, plan.namespace, name)),
    ...inside.map((name) => of(`elsewhere/${name}`, 'elsewhere', name)),
    ...outside.map((name) => of(`outside/${name}`, `${plan.namespace}-outside`, name)),
    ...(gateway === null
      ? []
      : Object.entries(tokens(plan)).map(([name, token]) =>
          of(name, gateway.namespace, gateway.serviceAccount, token),
        )),
    { name: 'nobody', account: null, token: null },
  ]
}

function tokens({ exposures }: Plan): Readonly<Record<string, Subject['token']>> {
  const jwt = exposures.map(({ authentication }) => authentication).find(({ kind }) => kind === 'jwt')
  const none = { 'the edge': null }
  if (jwt?.kind !== 'jwt') return none
  const { issuer, audience } = jwt
  const token = { issuer, subject: 'somebody', audiences: [audience] }
  return {
    ...none,
    'the edge with a token': token,
    'the edge with a token for others': { ...token, audiences: ['others'] },
    'the edge with a token of others': { ...token, issuer: 'https://others.example' },
  }
}

/** Who the gateway's proxies are: Istio names the account after the gateway and its class, Envoy Gateway as it is told. */
function gatewayAccount(mesh: Mesh, objects: readonly Manifest[]): Subject['account'] {
  const [gateway] = ofKind(objects, 'gateway.networking.k8s.io', 'Gateway')
  if (!gateway) return null
  const { name, namespace } = gateway.metadata
  if (mesh === 'istio') return { namespace, serviceAccount: `${name}-${gateway.spec.gatewayClassName}` }
  const [proxy] = ofKind(objects, 'gateway.envoyproxy.io', 'EnvoyProxy')
  return {
    namespace: 'envoy-gateway-system',
    serviceAccount: proxy?.spec.provider.kubernetes.envoyServiceAccount.name,
  }
}

/** Every method of every service, not only of this one, with each verb for REST; and what nobody declared. */
function requestsTo({ protocol }: PlannedService, plan: Plan): readonly Call[] {
  const methods = [
    ...plan.services.flatMap(({ apis }) => apis.flatMap((api) => api.methods)),
    ...plan.exposures.flatMap((exposure) => exposure.methods),
  ]
  const calls = methods.map(callOf)
  const verbs = protocol === 'grpc' ? [] : ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']
  const otherVerbs = calls.flatMap(({ path }) => verbs.map((verb) => ({ verb, path })))
  const deeper = calls.map(({ verb, path }) => ({ verb, path: `${path}/more/of/it` }))
  return unique([...calls, ...otherVerbs, ...deeper, ...strangeCalls])
}

/** The methods of a service's interfaces, and one that none of them has. */
function ownCalls({ protocol, apis }: PlannedService): readonly Call[] {
  return apis.flatMap(({ name, methods }) => [
    ...methods.map(callOf),
    protocol === 'grpc' ? { verb: 'POST', path: `/${name}/NoSuch` } : { verb: 'GET', path: '/no/such' },
  ])
}

/** Whether a Server has a route beside this one: without any it refuses everything by itself. */
function hasRoutes({ objects }: RenderedCase, route: Loose): boolean {
  const [{ name }] = route.spec.parentRefs
  return objects.some(
    (other: Loose) =>
      other !== route && other.spec?.parentRefs?.[0]?.name === name && other.spec.parentRefs[0].kind === 'Server',
  )
}

function declared(rendered: RenderedCase): readonly string[] {
  const { plan, mesh } = rendered
  const closed = closedExposures(rendered)
  const subjects = subjectsOf(rendered).map(({ name }) => name)
  const lines = [
    ...plan.grants.calls.map(({ from, to, verb, path }) => line(from, to, { verb, path: sample(path) }, appPort)),
    ...plan.exposures
      .filter(({ name }) => !closed.includes(name))
      .flatMap(({ service, methods, authentication }) =>
        subjects
          .filter((name) => name.startsWith('the edge'))
          .filter((name) => mayPass(mesh, plan, service, authentication.kind, name))
          .flatMap((name) => methods.map((method) => line(name, service, callOf(method), appPort))),
      ),
    // Beside the declared: Linkerd cannot tell a kubelet from anybody else, so health and metrics are answered to all.
    ...(mesh === 'linkerd' ? plan.services : []).flatMap(({ name }) =>
      subjects.flatMap((subject) => [
        ...adminCalls.slice(0, 3).map((call) => line(subject, name, call, adminPort)),
        ...proxyCalls.slice(0, 3).map((call) => line(subject, name, call, proxyPort)),
      ]),
    ),
  ]
  return [...new Set(lines)].sort()
}

/** With Istio the service's own sidecar looks at tokens; with Linkerd it is the gateway that does, before. */
function mayPass(mesh: Mesh, plan: Plan, service: string, kind: 'none' | 'jwt', subject: string): boolean {
  if (mesh === 'linkerd') return true
  if (kind === 'jwt') return subject === 'the edge with a token'
  // A service that asks for tokens on one way in refuses strange ones on all.
  const asks = plan.exposures.some((other) => other.service === service && other.authentication.kind === 'jwt')
  return !asks || !/others$/.test(subject)
}

function callOf({ verb, path }: Pick<MethodRef, 'verb' | 'path'>): Call {
  return { verb, path: sample(path) }
}

function sample(path: string): string {
  return path.replaceAll(/\{[^}]*\}/g, 'one')
}

function line(from: string, to: string, { verb, path }: Call, port: number): string {
  return `${from} → ${to}:${port} ${verb} ${path}`
}

function unique(calls: readonly Call[]): readonly Call[] {
  return [...new Map(calls.map((call) => [`${call.verb} ${call.path}`, call])).values()]
}

/** An evaluator that finds no meaning in what is left has noticed, too. */
function attempt<T>(run: () => T): T | string {
  try {
    return run()
  } catch (error) {
    return String(error)
  }
}
