import type { ServiceSlice } from '#plan/slices.ts'
import { dataNames, labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'

type Replicas = { readonly least: number; readonly most: number }

/** From this share of its request on, another replica is started. */
export const cpuPercent = 70

/** KEDA's objects for a service that consumes: by the lag of its groups, by the tasks that wait for it, and by CPU. */
export function lagScaling(site: Site, slice: ServiceSlice, replicas: Replicas): readonly Manifest[] {
  return [scaledObject(site, slice, replicas), ...authentications(site, slice)]
}

function scaledObject(site: Site, slice: ServiceSlice, { least, most }: Replicas): Manifest {
  const { name } = slice.service
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: metadata(site, name),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
      minReplicaCount: least,
      maxReplicaCount: most,
      pollingInterval: 15,
      cooldownPeriod: 120,
      advanced: { horizontalPodAutoscalerConfig: { name } },
      triggers: [
        { type: 'cpu', metricType: 'Utilization', metadata: { value: String(cpuPercent), containerName: 'app' } },
        ...slice.subscriptions.map(({ topic, group }) => kafkaTrigger(site, name, topic, group)),
        ...slice.works.map((queue) => rabbitmqTrigger(site, name, queue.name, queue.prefetch)),
      ],
    },
  }
}

/** KEDA reads the lag as the service itself: what it may not read, KEDA may not either. */
function kafkaTrigger(site: Site, service: string, topic: string, group: string) {
  const { kafka, host } = dataNames(site)
  return {
    type: 'kafka',
    metadata: {
      bootstrapServers: `${host(kafka.bootstrap)}:${kafka.port}`,
      consumerGroup: group,
      topic,
      lagThreshold: '100',
      offsetResetPolicy: 'earliest',
      // Its default speaks a protocol that Kafka 4 has dropped.
      version: '3.9.0',
      tls: 'enable',
    },
    authenticationRef: { name: authenticationOf(service, 'kafka') },
  }
}

/** More tasks wait than every replica has in hand: another one would help. */
function rabbitmqTrigger(site: Site, service: string, queueName: string, prefetch: number) {
  const { rabbitmq, host } = dataNames(site)
  return {
    type: 'rabbitmq',
    metadata: {
      host: `amqps://${host(rabbitmq.service)}:${rabbitmq.port}/${site.system}`,
      protocol: 'amqp',
      queueName,
      mode: 'QueueLength',
      value: String(prefetch),
    },
    authenticationRef: { name: authenticationOf(service, 'rabbitmq') },
  }
}

function authentications(site: Site, { service: { name }, subscriptions, works }: ServiceSlice): readonly Manifest[] {
  return [
    ...(subscriptions.length > 0 ? [kafkaAuthentication(site, name)] : []),
    ...(works.length > 0 ? [rabbitmqAuthentication(site, name), rabbitmqParameters(site, name)] : []),
  ]
}

function kafkaAuthentication(site: Site, service: string): Manifest {
  const { kafka } = dataNames(site)
  return authentication(site, service, 'kafka', {
    secretTargetRef: [
      { parameter: 'ca', name: kafka.authoritySecret, key: 'ca.crt' },
      { parameter: 'cert', name: kafka.userSecret(service), key: 'user.crt' },
      { parameter: 'key', name: kafka.userSecret(service), key: 'user.key' },
    ],
  })
}

function rabbitmqAuthentication(site: Site, service: string): Manifest {
  const { rabbitmq } = dataNames(site)
  return authentication(site, service, 'rabbitmq', {
    secretTargetRef: [
      { parameter: 'ca', name: rabbitmq.authoritySecret, key: 'ca.crt' },
      { parameter: 'username', name: rabbitmq.userSecret(service), key: 'username' },
      { parameter: 'password', name: rabbitmq.userSecret(service), key: 'password' },
    ],
    configMapTargetRef: [{ parameter: 'tls', name: authenticationOf(service, 'rabbitmq'), key: 'tls' }],
  })
}

/** KEDA takes this parameter from nowhere else. */
function rabbitmqParameters(site: Site, service: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...metadata(site, service), name: authenticationOf(service, 'rabbitmq') },
    data: { tls: 'enable' },
  }
}

function authentication(site: Site, service: string, to: 'kafka' | 'rabbitmq', spec: object): Manifest {
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'TriggerAuthentication',
    metadata: { ...metadata(site, service), name: authenticationOf(service, to) },
    spec,
  }
}

/** A dot, which no service's name has, keeps it from being another's. */
function authenticationOf(service: string, to: 'kafka' | 'rabbitmq'): string {
  return `${service}.${to}`
}

function metadata(site: Site, name: string) {
  return { name, namespace: site.namespace, labels: labelsOf(site, name, 'service') }
}
