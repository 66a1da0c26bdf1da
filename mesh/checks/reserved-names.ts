import type { SystemNode } from '#graph/system.ts'
import { byName } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'

/** Names that somebody else has already: each part of a run is known by a certificate of its own name; kustomize reads a file of its own. */
const takenByParts = new Set(['authority', 'kafka', 'kustomization', 'postgres', 'rabbitmq'])
/** Databases that Postgres brings along. */
const takenByPostgres = new Set(['postgres', 'template0', 'template1'])

/** What a system has on a cluster besides its services: its name and one of these, and what operators append to that. */
const parts = ['edge', 'istio', 'kafka', 'postgres', 'rabbitmq'] as const
/** Namespaces that a cluster has, or in which what a system stands on runs; those of Kubernetes begin with `kube-`. */
const takenByCluster = new Set([
  'argocd',
  'cert-manager',
  'cnpg-system',
  'default',
  'envoy-gateway-system',
  'flux-system',
  'istio-system',
  'keda',
  'linkerd',
  'linkerd-cni',
  'observability',
  'opentelemetry-operator-system',
  'rabbitmq-system',
  'strimzi',
])

/** A service is nobody else, and neither is a system. */
export const reservedNames = rule({
  code: 'PLY606',
  title: 'No name is that of a part',
  why: "Identities are names. A service called kafka would have the broker's own certificate, and with it the right to do everything; a database called postgres belongs to the server. On a cluster a system lives in the namespace of its name, and its parts are called `<system>-kafka` and the like.",
  reference:
    'Apache Kafka, "Authorization and ACLs", `super.users`; PostgreSQL, "Template Databases"; Kubernetes, "Namespaces"',
  acceptable: false,
  check: (system: SystemNode) => [
    ...systemBreach(system),
    ...byName(system.services).flatMap((service): Breach[] => {
      const owners = [serviceOwner(service)]
      const databases = (service.spec.owns ?? []).flatMap((store) => (store.name === null ? [] : [store.name]))
      return [
        ...(takenByParts.has(service.name) ? [taken(`service ${service.name}`, service.name, owners)] : []),
        ...(isPart(system.name, service.name)
          ? [taken(`service ${service.name}`, service.name, owners, service.name.slice(system.name.length + 1))]
          : []),
        ...databases
          .filter((name) => takenByPostgres.has(name))
          .map((name) => taken(`store of ${service.name}`, name, owners)),
      ]
    }),
  ],
})

function isPart(system: string, service: string): boolean {
  return parts.some((part) => `${service}-`.startsWith(`${system}-${part}-`))
}

function systemBreach({ name }: SystemNode): Breach[] {
  if (!takenByCluster.has(name) && !name.startsWith('kube-')) return []
  const message = `The system would live in the namespace ${name}, which belongs to something else.`
  return [{ path: [`system ${name}`], message, cost: null, mend: 'Give it another name, such as shop.', owners: [] }]
}

function taken(path: string, name: string, owners: Breach['owners'], word = name): Breach {
  const message = `The name ${name} is taken: a part of every run has it.`
  return { path: [path], message, cost: null, mend: `Give it another name, such as ${word}-service.`, owners }
}
