/**
 * The hardening list for the pods that operators make, as far as a custom resource says what they are like; those of
 * Deployments have theirs beside them. And every image that anything runs.
 */
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import type { Manifest } from '#providers/manifest.ts'
import { type Loose, ofKind } from '../evaluators/objects.ts'
import { renderedCases } from '../fixtures/rendered.ts'

/** Pods as a custom resource asks for them. `own` stands for what its operator sets by itself, and safely. */
type Made = {
  readonly name: string
  readonly security: Loose
  readonly containers: readonly { readonly security: Loose; readonly resources: Loose }[]
  readonly several: boolean
  readonly budget: boolean
  readonly spread: boolean
}

const own = 'the operator’s own'
const cases = renderedCases()

describe('pods that operators make', () => {
  test.each(cases)('$title', ({ objects, plan, mesh }) => {
    const made = madePods(objects)
    expect(made.map(({ name }) => name)).toEqual([
      ...(plan.topics.length > 0 ? ['entity operator', 'exporter'] : []),
      ...ofKind(objects, 'kafka.strimzi.io', 'KafkaNodePool').map(({ metadata }) => metadata.name),
      ...(plan.stores.length > 0 ? ['postgres'] : []),
      ...(plan.queues.length > 0 ? ['rabbitmq'] : []),
      'jaeger',
      ...(plan.exposures.length > 0 ? [mesh === 'istio' ? 'istio gateway' : 'envoy gateway'] : []),
    ])
    expect(made.flatMap(problemsOf)).toEqual([])
    expect(objects.flatMap((object) => weakened(object).map((what) => `${object.kind} ${what}`))).toEqual([])
  })

  test.each(cases.filter(({ plan, environment }) => plan.system === 'shop' && environment === 'production'))(
    'are not left without any of it: $title',
    ({ objects }) => {
      const keys = [
        'securityContext',
        'podSecurityContext',
        'resources',
        'topologySpreadConstraints',
        'affinity',
        'envoyPDB',
      ]
      const changes = keys.flatMap((key) => without(objects, key).map((changed) => ({ key, changed })))
      expect(changes.length).toBeGreaterThan(15)
      const unnoticed = changes.filter(({ changed }) => madePods(changed).flatMap(problemsOf).length === 0)
      expect(unnoticed.map(({ key }) => key)).toEqual([])
    },
  )

  test.each([
    { securityContext: { privileged: true } },
    { securityContext: { allowPrivilegeEscalation: true } },
    { securityContext: { runAsNonRoot: false } },
    { securityContext: { runAsUser: 0 } },
    { securityContext: { capabilities: { add: ['NET_ADMIN'] } } },
    { securityContext: { seccompProfile: { type: 'Unconfined' } } },
    { hostNetwork: true },
    { hostPID: true },
    { volumes: [{ name: 'host', hostPath: { path: '/' } }] },
  ])('nor given more: %j', (more) => {
    expect(weakened({ spec: { override: { statefulSet: { spec: { template: { spec: more } } } } } })).not.toEqual([])
  })
})

describe('images', () => {
  const version = /^[^\s@]+(:(?!latest(@|$))[\w][\w.-]*(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/

  test.each(cases)('of $title name a version', ({ objects }) => {
    const images = objects.flatMap((object) => imagesIn(object))
    expect(images.length).toBeGreaterThan(0)
    expect(images.filter((image) => typeof image !== 'string' || !version.test(image))).toEqual([])
    // Without a word an operator takes whatever version it was made with.
    for (const { spec } of ofKind(objects, 'kafka.strimzi.io', 'Kafka')) expect(spec.kafka.version).toMatch(/^\d+\.\d+/)
    for (const [group, kind] of [
      ['postgresql.cnpg.io', 'Cluster'],
      ['rabbitmq.com', 'RabbitmqCluster'],
      ['opentelemetry.io', 'OpenTelemetryCollector'],
    ] as const) {
      for (const { spec } of ofKind(objects, group, kind)) expect(imagesIn({ ...spec, override: null })).toHaveLength(1)
    }
  })

  test.each(['a/b', 'a/b:latest', 'a:5000/b', 'a/b@sha256:12', ''])('%j names none', (image) =>
    expect(image).not.toMatch(version),
  )
})

function madePods(objects: readonly Manifest[]): readonly Made[] {
  return [
    ...ofKind(objects, 'kafka.strimzi.io', 'Kafka').flatMap(aroundKafka),
    ...ofKind(objects, 'kafka.strimzi.io', 'KafkaNodePool').map(kafkaNodes),
    ...ofKind(objects, 'postgresql.cnpg.io', 'Cluster').map(postgres),
    ...ofKind(objects, 'rabbitmq.com', 'RabbitmqCluster').map((cluster) => rabbitmq(cluster, objects)),
    ...ofKind(objects, 'opentelemetry.io', 'OpenTelemetryCollector').map(jaeger),
    ...ofKind(objects, 'gateway.networking.k8s.io', 'Gateway').map((gateway) => gatewayPods(gateway, objects)),
  ]
}

const alone = { several: false, budget: false, spread: false }

function aroundKafka({ spec: { entityOperator, kafkaExporter } }: Loose): readonly Made[] {
  const { topicOperator, userOperator, template } = entityOperator
  return [
    {
      name: 'entity operator',
      security: template.pod.securityContext,
      containers: [
        { security: template.topicOperatorContainer.securityContext, resources: topicOperator.resources },
        { security: template.userOperatorContainer.securityContext, resources: userOperator.resources },
      ],
      ...alone,
    },
    {
      name: 'exporter',
      security: kafkaExporter.template.pod.securityContext,
      containers: [{ security: kafkaExporter.template.container.securityContext, resources: kafkaExporter.resources }],
      ...alone,
    },
  ]
}

/** Strimzi makes a disruption budget of one pod by itself, unless the cluster says another. */
function kafkaNodes({ metadata, spec: { template, resources, replicas } }: Loose): Made {
  return {
    name: metadata.name,
    security: template.pod.securityContext,
    containers: [{ security: template.kafkaContainer.securityContext, resources }],
    several: replicas > 1,
    budget: true,
    spread: template.pod.topologySpreadConstraints?.length > 0,
  }
}

/** CloudNativePG runs instances as a user of their own, without capabilities, under the default seccomp profile. */
function postgres({ spec: { resources, instances, affinity, enablePDB } }: Loose): Made {
  return {
    name: 'postgres',
    security: own,
    containers: [{ security: own, resources }],
    several: instances > 1,
    budget: enablePDB !== false,
    spread: affinity?.enablePodAntiAffinity === true,
  }
}

/** So does the operator of RabbitMQ; but it makes no budget. */
function rabbitmq({ metadata, spec: { resources, replicas, affinity } }: Loose, objects: readonly Manifest[]): Made {
  return {
    name: 'rabbitmq',
    security: own,
    containers: [{ security: own, resources }],
    several: replicas > 1,
    budget: ofKind(objects, 'policy', 'PodDisruptionBudget').some(
      ({ spec }) => spec.selector.matchLabels['app.kubernetes.io/name'] === metadata.name,
    ),
    spread: affinity?.podAntiAffinity !== undefined,
  }
}

function jaeger({ spec: { podSecurityContext, securityContext, resources } }: Loose): Made {
  return {
    name: 'jaeger',
    security: podSecurityContext,
    containers: [{ security: securityContext, resources }],
    ...alone,
  }
}

/** Both gateways' controllers give the proxies no capabilities; Istio's also knows how much they need. */
function gatewayPods({ spec: { gatewayClassName } }: Loose, objects: readonly Manifest[]): Made {
  if (gatewayClassName === 'istio') {
    const [{ data }] = ofKind(objects, 'v1', 'ConfigMap').filter(
      ({ metadata }) => metadata.name === 'edge.proxies',
    ) as [Loose]
    const [pod, budget, scaling] = ['deployment', 'podDisruptionBudget', 'horizontalPodAutoscaler'].map((key) =>
      data[key] === undefined ? undefined : parse(data[key]).spec,
    )
    return {
      name: 'istio gateway',
      security: pod.template.spec.securityContext,
      containers: [{ security: own, resources: own }],
      several: scaling?.minReplicas > 1,
      budget: budget?.maxUnavailable === 1,
      spread: pod.template.spec.topologySpreadConstraints?.length > 0,
    }
  }
  const [{ spec }] = ofKind(objects, 'gateway.envoyproxy.io', 'EnvoyProxy') as [Loose]
  const { envoyDeployment, envoyHpa, envoyPDB } = spec.provider.kubernetes
  return {
    name: 'envoy gateway',
    security: envoyDeployment.pod.securityContext,
    containers: [{ security: own, resources: envoyDeployment.container.resources }],
    several: envoyHpa?.minReplicas > 1,
    budget: envoyPDB?.maxUnavailable === 1,
    spread: envoyDeployment.pod.topologySpreadConstraints?.length > 0,
  }
}

/** What is wrong with pods, in words. */
function problemsOf({ name, security, containers, several, budget, spread }: Made): readonly string[] {
  const rules: readonly [string, boolean][] = [
    ['may run as root', security !== own && security?.runAsNonRoot !== true],
    ['is not confined', security !== own && security?.seccompProfile?.type !== 'RuntimeDefault'],
    [
      'has capabilities',
      containers.some((one) => one.security !== own && !one.security?.capabilities?.drop?.includes('ALL')),
    ],
    [
      'gains privileges',
      containers.some((one) => one.security !== own && one.security?.allowPrivilegeEscalation !== false),
    ],
    [
      'asks for nothing',
      containers.some(
        (one) => one.resources !== own && !(one.resources?.requests?.cpu && one.resources.requests.memory),
      ),
    ],
    ['takes any memory', containers.some((one) => one.resources !== own && !one.resources?.limits?.memory)],
    ['is throttled', containers.some((one) => one.resources?.limits?.cpu !== undefined)],
    ['may be drained at once', several && !budget],
    ['may stand on one node', several && !spread],
  ]
  return rules.filter(([, isWrong]) => isWrong).map(([what]) => `${name} ${what}`)
}

/** Whatever in an object would give a pod more than it needs, wherever it stands. */
function weakened(value: unknown, path = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, field]) => {
    const bad =
      (['privileged', 'allowPrivilegeEscalation', 'hostNetwork', 'hostPID', 'hostIPC'].includes(key) &&
        field === true) ||
      (key === 'runAsNonRoot' && field === false) ||
      (['runAsUser', 'runAsGroup', 'fsGroup'].includes(key) && field === 0) ||
      (key === 'capabilities' && (field as Loose)?.add?.length > 0) ||
      (key === 'seccompProfile' && (field as Loose)?.type !== 'RuntimeDefault') ||
      key === 'hostPath'
    return [...(bad ? [`${path}.${key}`] : []), ...weakened(field, `${path}.${key}`)]
  })
}

/** Objects without one of the fields of this name in a custom resource, once for each; what Istio's gateway reads is a text. */
function without(objects: readonly Manifest[], key: string): readonly (readonly Manifest[])[] {
  const made = /^(Kafka|KafkaNodePool|Cluster|RabbitmqCluster|OpenTelemetryCollector|EnvoyProxy)$/
  return objects.flatMap((object, index) =>
    made.test(object.kind)
      ? pathsTo(object, key).map((path) => {
          const copy = structuredClone(object) as Loose
          delete path.slice(0, -1).reduce((inner, step) => inner[step], copy)[key]
          return objects.with(index, copy)
        })
      : [],
  )
}

function pathsTo(value: unknown, key: string): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, field]) =>
    name === key ? [[name]] : pathsTo(field, key).map((path) => [name, ...path]),
  )
}

function imagesIn(value: unknown): readonly unknown[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, field]) =>
    key === 'image' || key === 'imageName' ? [field] : imagesIn(field),
  )
}
