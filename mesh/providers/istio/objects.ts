import { createHash } from 'node:crypto'
import { labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'

/** A piece of an Istio object, as JSON has it. The real CRDs, and istiod, prove its shape. */
export type Spec = Readonly<Record<string, unknown>>

const versions = {
  AuthorizationPolicy: 'security.istio.io/v1',
  DestinationRule: 'networking.istio.io/v1',
  EnvoyFilter: 'networking.istio.io/v1alpha3',
  PeerAuthentication: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
  ServiceEntry: 'networking.istio.io/v1',
  Sidecar: 'networking.istio.io/v1',
  Telemetry: 'telemetry.istio.io/v1',
  VirtualService: 'networking.istio.io/v1',
} as const

/** One of Istio's objects in the system's namespace. `owner` is the service, the external or the system that it is about. */
export function istioObject(
  site: Site,
  kind: keyof typeof versions,
  { name, owner, spec }: { readonly name: string; readonly owner: string; readonly spec: Spec },
): Manifest {
  const metadata = { name, namespace: site.namespace, labels: labelsOf(site, owner, 'mesh') }
  return { apiVersion: versions[kind], kind, metadata, spec }
}

const nameMax = 63
const hashLength = 8

/**
 * The name of an object that is about several things. A dot joins them, for no name of a declaration has one: so two
 * objects never share a name. What is too long ends in a digest of the whole.
 */
export function nameOf(...parts: readonly string[]): string {
  const whole = parts.join('.')
  if (whole.length <= nameMax) return whole
  const digest = createHash('sha256').update(whole).digest('hex').slice(0, hashLength)
  return `${whole.slice(0, nameMax - hashLength - 1).replace(/[^a-z0-9]+$/, '')}-${digest}`
}

/** A duration as protobuf's JSON writes it: 300 → `0.3s`. */
export function duration(ms: number): string {
  return `${ms / 1_000}s`
}
