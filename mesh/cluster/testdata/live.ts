/** Objects as clusters show them, and whether they are ready: what every judge of readiness is held against. */
import type { Live, Readiness } from '../readiness.ts'

/** What it is, its fields, and what is to be said of it. */
type Case = readonly [what: string, object: object, expected: Readiness['state'], reason?: string]

const condition = (type: string, status: string, more: object = {}) => ({ type, status, ...more })
const ready = { conditions: [condition('Ready', 'True')] }
const deployed = { observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3 }

const cases: readonly Case[] = [
  ['a kind without status', { kind: 'ConfigMap', apiVersion: 'v1' }, 'ready'],
  ['Istio’s AuthorizationPolicy', { kind: 'AuthorizationPolicy', apiVersion: 'security.istio.io/v1' }, 'ready'],
  ['a new Deployment', deployment(undefined), 'waiting', 'its controller has not seen it yet'],
  [
    'one whose change was not seen',
    deployment({ ...deployed, observedGeneration: 1 }),
    'waiting',
    'its controller has not seen the change yet',
  ],
  [
    'one of the old revision',
    deployment({ ...deployed, updatedReplicas: 1 }),
    'waiting',
    '1 of 3 pods are of the new revision',
  ],
  ['one that is not available', deployment({ ...deployed, availableReplicas: 2 }), 'waiting', '2 of 3 pods are ready'],
  ['one with old pods left', deployment({ ...deployed, replicas: 4 }), 'waiting', '1 old pod is still ending'],
  [
    'one that may make no pods',
    deployment({ ...deployed, conditions: [condition('ReplicaFailure', 'True', { message: 'violates PodSecurity' })] }),
    'waiting',
    'violates PodSecurity',
  ],
  [
    'one that gave up',
    deployment({
      ...deployed,
      conditions: [condition('Progressing', 'False', { reason: 'ProgressDeadlineExceeded', message: 'timed out' })],
    }),
    'failed',
    'timed out',
  ],
  ['one that runs', deployment(deployed), 'ready'],
  ['one scaled to nothing', { ...deployment({ observedGeneration: 2 }), spec: { replicas: 0 } }, 'ready'],
  [
    'a failed Job',
    { kind: 'Job', apiVersion: 'batch/v1', status: { conditions: [condition('Failed', 'True', { message: 'no' })] } },
    'failed',
    'no',
  ],
  [
    'Kafka that is being made',
    {
      kind: 'Kafka',
      apiVersion: 'kafka.strimzi.io/v1',
      status: { conditions: [condition('NotReady', 'True', { message: 'creating brokers' })] },
    },
    'waiting',
    'creating brokers',
  ],
  [
    'a topic of an old generation',
    { kind: 'KafkaTopic', apiVersion: 'kafka.strimzi.io/v1', status: { ...ready, observedGeneration: 1 } },
    'waiting',
    'its controller has not seen the change yet',
  ],
  [
    'a topic',
    { kind: 'KafkaTopic', apiVersion: 'kafka.strimzi.io/v1', status: { ...ready, observedGeneration: 2 } },
    'ready',
  ],
  [
    'Postgres that is being made',
    {
      kind: 'Cluster',
      apiVersion: 'postgresql.cnpg.io/v1',
      status: { phase: 'Setting up primary', phaseReason: 'Creating primary instance' },
    },
    'waiting',
    'Setting up primary: Creating primary instance',
  ],
  ['a cluster of somebody else', { kind: 'Cluster', apiVersion: 'cluster.x-k8s.io/v1' }, 'ready'],
  [
    'a database',
    { kind: 'Database', apiVersion: 'postgresql.cnpg.io/v1', status: { applied: true, observedGeneration: 2 } },
    'ready',
  ],
  [
    'a role that is refused',
    {
      kind: 'DatabaseRole',
      apiVersion: 'postgresql.cnpg.io/v1',
      status: { applied: false, observedGeneration: 2, message: 'reserved name' },
    },
    'waiting',
    'reserved name',
  ],
  [
    'RabbitMQ without all nodes',
    {
      kind: 'RabbitmqCluster',
      apiVersion: 'rabbitmq.com/v1beta1',
      status: {
        conditions: [condition('AllReplicasReady', 'False', { reason: 'NotAllPodsReady', message: '0/1 Pods ready' })],
      },
    },
    'waiting',
    '0/1 Pods ready',
  ],
  [
    'a certificate judged before its change',
    {
      kind: 'Certificate',
      apiVersion: 'cert-manager.io/v1',
      status: { conditions: [condition('Ready', 'True', { observedGeneration: 1 })] },
    },
    'waiting',
    'its controller has not seen the change yet',
  ],
  ['a route that nobody took', route([]), 'waiting', 'no controller has taken it yet'],
  [
    'a route without its service',
    route([condition('Accepted', 'True'), condition('ResolvedRefs', 'False', { message: 'no service orders' })]),
    'waiting',
    'no service orders',
  ],
  ['a route whose controller resolves nothing', route([condition('Accepted', 'True')]), 'ready'],
  [
    'a collector without pods',
    {
      kind: 'OpenTelemetryCollector',
      apiVersion: 'opentelemetry.io/v1beta1',
      status: { scale: { statusReplicas: '0/1' } },
    },
    'waiting',
    '0 of 1 pods are ready',
  ],
  ...['kafka.strimzi.io/v1 Kafka', 'kafka.strimzi.io/v1 KafkaUser', 'rabbitmq.com/v1beta1 Queue'].flatMap((kind) => [
    of(kind, 'ready', { observedGeneration: 2, conditions: [condition('Ready', 'True')] }),
    of(kind, 'waiting', { observedGeneration: 2, conditions: [condition('Ready', 'False')] }),
    of(kind, 'waiting', { conditions: [condition('Ready', 'True')] }),
  ]),
  of('postgresql.cnpg.io/v1 Cluster', 'ready', { phase: 'Cluster in healthy state', ...ready }),
  of('postgresql.cnpg.io/v1 Database', 'waiting', { applied: true }),
  of('rabbitmq.com/v1beta1 RabbitmqCluster', 'ready', {
    conditions: ['AllReplicasReady', 'ClusterAvailable', 'NoWarnings', 'ReconcileSuccess'].map((type) =>
      condition(type, 'True'),
    ),
  }),
  of('cert-manager.io/v1 Certificate', 'ready', {
    conditions: [condition('Ready', 'True', { observedGeneration: 2 })],
  }),
  of('gateway.networking.k8s.io/v1 Gateway', 'ready', {
    conditions: ['Accepted', 'Programmed'].map((type) => condition(type, 'True', { observedGeneration: 2 })),
  }),
  of('gateway.networking.k8s.io/v1 Gateway', 'waiting', {
    conditions: [condition('Accepted', 'True'), condition('Programmed', 'False', { reason: 'AddressNotAssigned' })],
  }),
  of('gateway.networking.k8s.io/v1 GatewayClass', 'ready', { conditions: [condition('Accepted', 'True')] }),
  of('gateway.networking.k8s.io/v1 GatewayClass', 'waiting', {
    conditions: [condition('Accepted', 'Unknown', { reason: 'Waiting', message: 'Waiting for controller' })],
  }),
  of('monitoring.coreos.com/v1 Prometheus', 'ready', {
    conditions: [condition('Available', 'True'), condition('Reconciled', 'True')],
  }),
  of('monitoring.coreos.com/v1 Prometheus', 'waiting', {
    conditions: [condition('Available', 'Degraded'), condition('Reconciled', 'True')],
  }),
  of('keda.sh/v1alpha1 ScaledObject', 'ready', {
    conditions: [condition('Active', 'False'), condition('Ready', 'True', { reason: 'ScaledObjectReady' })],
  }),
  of('keda.sh/v1alpha1 ScaledObject', 'waiting', { conditions: [condition('Ready', 'Unknown')] }),
]

function of(versionedKind: string, state: Readiness['state'], status: object): Case {
  const [apiVersion = '', kind = ''] = versionedKind.split(' ')
  return [`${kind} with ${JSON.stringify(status)}`, { kind, apiVersion, status }, state]
}

function deployment(status: object | undefined) {
  return { kind: 'Deployment', apiVersion: 'apps/v1', spec: { replicas: 3 }, status }
}

function route(conditions: readonly object[]) {
  const parents = conditions.length === 0 ? [] : [{ conditions }]
  return {
    kind: 'HTTPRoute',
    apiVersion: 'gateway.networking.k8s.io/v1',
    spec: { parentRefs: [{}] },
    status: { parents },
  }
}

/** Every object with its name and generation, and what is to be said of it; a reason where it matters. */
export const liveCases = cases.map(([what, object, state, reason]) => ({
  what,
  object: { metadata: { name: 'x', generation: 2 }, ...object } as Live,
  state,
  ...(reason === undefined ? {} : { reason }),
}))
