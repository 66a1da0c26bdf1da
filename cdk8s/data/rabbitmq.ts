import type { Plan } from '#plan/plan.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { pods, podsIn, prometheus, tcp } from '../policies/peers.ts'
import { consumerPeers, dataNetwork, dnsOpening } from './network.ts'
import { classOf, objectOf, outOfMesh, resourcesOf } from './objects.ts'
import { rabbitmqCertificates } from './rabbitmq-certificates.ts'
import { topologyObject } from './rabbitmq-topology.ts'

const component = 'queue-server'
/** The image that this operator's release was tried with. */
const image = 'rabbitmq:4.2.6-management'
const ports = { peers: [4369, 25672], management: 15672, metrics: 15692 } as const

/** RabbitMQ by its operators: certificates, the cluster, the virtual host and the network. Nothing where the plan has no queue. */
export const rabbitmq: SystemPart = {
  wave: 'data',
  name: 'system.rabbitmq',
  render: (site, plan) =>
    plan.queues.length === 0
      ? []
      : [
          ...rabbitmqCertificates(site),
          cluster(site, plan),
          ...disruptions(site, plan),
          virtualHost(site),
          network(site, plan),
        ],
}

function cluster(site: Site, { queueNodes: { count, storageGiB } }: Plan): Manifest {
  const { cluster: name, authoritySecret, service, selector } = dataNames(site).rabbitmq
  const production = site.environment === 'production'
  return objectOf(site, {
    apiVersion: 'rabbitmq.com/v1beta1',
    kind: 'RabbitmqCluster',
    name,
    component,
    annotations: {
      // The operators have no way to be given this system's authority, so they come by plain HTTP; the network lets in no one else.
      'rabbitmq.com/operator-connection-uri': `http://${service}.${site.namespace}.svc:${ports.management}`,
    },
    fields: {
      spec: {
        replicas: count,
        image,
        ...(site.settings.imagePullSecrets.length > 0
          ? { imagePullSecrets: site.settings.imagePullSecrets.map((secret) => ({ name: secret })) }
          : {}),
        persistence: { storage: `${storageGiB}Gi`, ...classOf(site, 'storageClassName') },
        resources: production ? resourcesOf('1', '2Gi') : resourcesOf('100m', '512Mi'),
        tls: { secretName: authoritySecret },
        // A node that leaves waits until the others have all that it had; a lone one has nobody to wait for.
        terminationGracePeriodSeconds: count > 1 ? 3_600 : 60,
        rabbitmq: { additionalConfig: settings(storageGiB) },
        ...(count > 1 ? { affinity: apart(selector) } : {}),
        override: { statefulSet: { spec: { template: { metadata: outOfMesh, spec: { containers: [container] } } } } },
      },
    },
  })
}

/** The operator asks the plain port whether a node is ready. There is none: see `listeners.tcp`. */
const container = { name: 'rabbitmq', readinessProbe: { tcpSocket: { port: 'amqps' } } } as const

/** Over what the operator sets: AMQP over TLS only, and sizes that fit the volume. */
function settings(storageGiB: number): string {
  const entries = {
    'listeners.tcp': 'none',
    'ssl_options.versions.1': 'tlsv1.3',
    // Users have passwords; the certificate is the server's.
    'ssl_options.verify': 'verify_none',
    'ssl_options.fail_if_no_peer_cert': 'false',
    'disk_free_limit.absolute': `${Math.round(storageGiB * 1024 * 0.2)}MB`,
    // Every probe is a connection that ends before its login; refused logins are errors and stay.
    'log.connection.level': 'error',
  }
  return Object.entries(entries)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')
}

function apart(matchLabels: Readonly<Record<string, string>>) {
  return {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels } },
      ],
    },
  }
}

function virtualHost(site: Site): Manifest {
  return topologyObject(site, 'Vhost', site.system, {
    name: site.system,
    defaultQueueType: 'quorum',
    deletionPolicy: site.environment === 'production' ? 'retain' : 'delete',
  })
}

/** The one asks nodes how they fare, the other makes users, permissions and queues. */
const operators = ['rabbitmq-cluster-operator', 'messaging-topology-operator'].map((name) =>
  podsIn('rabbitmq-system', { 'app.kubernetes.io/name': name }),
)

/** The operator makes none, and nodes that were drained together would be no majority. A lone one must let its machine go. */
function disruptions(site: Site, { queueNodes: { count } }: Plan): readonly Manifest[] {
  const { cluster: name, selector } = dataNames(site).rabbitmq
  if (count === 1) return []
  const spec = { maxUnavailable: 1, selector: { matchLabels: selector } }
  return [objectOf(site, { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', name, component, fields: { spec } })]
}

function network(site: Site, plan: Plan): Manifest {
  const { cluster: name, selector, port } = dataNames(site).rabbitmq
  const clients = [...new Set(plan.grants.queues.map(({ service }) => service))]
  const nodes = pods(selector)
  return dataNetwork(
    site,
    { name, component, selector },
    {
      ingress: [
        { peers: consumerPeers(site, clients), ports: tcp(port) },
        { peers: [nodes], ports: tcp(...ports.peers) },
        { peers: operators, ports: tcp(ports.management) },
        { peers: [prometheus], ports: tcp(ports.metrics) },
      ],
      // Nodes find one another by their names alone, so that none asks the Kubernetes API.
      egress: [{ peers: [nodes], ports: tcp(...ports.peers) }, dnsOpening],
    },
  )
}
