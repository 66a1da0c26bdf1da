import { resolveConsume, resolveRedelivery } from '#graph/defaults.ts'
import { deadLetterQueue, deadLetterTopic, retryQueue } from '#graph/names.ts'
import type { SystemNode } from '#graph/system.ts'
import { allEdges, byName } from './edges.ts'
import { exposureOwner, type Owner, rule, serviceOwner } from './rule.ts'

type Name = { path: string; name: string; kind: keyof typeof patterns; owners: readonly Owner[] }

const label = '[a-z0-9]([a-z0-9-]*[a-z0-9])?'
const serviceLabel = '[a-z]([a-z0-9-]*[a-z0-9])?'
const word = '[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?'

/** What a name may be, how long, and how to say so. */
const patterns = {
  label: {
    pattern: new RegExp(`^${label}$`),
    max: 63,
    say: 'a DNS-1123 label: small letters, digits and -, at most 63, beginning and ending with a letter or digit',
  },
  /** Of a Kubernetes Service. */
  service: {
    pattern: new RegExp(`^${serviceLabel}$`),
    max: 63,
    say: 'a DNS label (RFC 1035): small letters, digits and -, at most 63, beginning with a letter and ending with a letter or digit',
  },
  /** On a cluster the names of a system's parts begin with its own, and Kubernetes refuses those that get too long. */
  system: {
    pattern: new RegExp(`^${serviceLabel}$`),
    max: 40,
    say: 'a DNS label (RFC 1035): small letters, digits and -, at most 40, beginning with a letter and ending with a letter or digit',
  },
  /** Without `.` and `_`: Kafka's metrics cannot tell the two apart, and `.dead-letter` is what the plan appends. */
  channel: {
    pattern: new RegExp(`^${word}$`),
    max: 120,
    say: 'letters, digits and - without dots or underscores, at most 120, beginning and ending with a letter or digit',
  },
  /** A name with what the plan appends to it. */
  derived: { pattern: /^[a-zA-Z0-9._-]+$/, max: 249, say: 'at most 249 characters with what is appended to it' },
  database: {
    pattern: /^[a-z_][a-z0-9_-]*$/,
    max: 63,
    say: 'small letters, digits, _ and -, at most 63, not beginning with a digit',
  },
  version: { pattern: /^v[1-9][0-9]{0,3}$/, max: 5, say: '`v` and a number, such as v1' },
} as const

/** Names are names everywhere they end up. */
export const names = rule({
  code: 'PLY603',
  title: 'Names are DNS labels, and safe where they end up',
  why: 'A name becomes a DNS name, a Kubernetes Service, an identity, a database role, a Kafka principal, a queue user and a file. One that is refused by the last of them fails long after review.',
  reference:
    'RFC 1035, section 2.3.1; RFC 1123, section 2.1; Kubernetes, "Object Names and IDs"; Kafka, `Topic.validate`',
  acceptable: false,
  check: (system) =>
    namesOf(system)
      .filter(({ name, kind }) => name.length > patterns[kind].max || !patterns[kind].pattern.test(name))
      .map(({ path, name, kind, owners }) => ({
        path: [path],
        message: `The name ${JSON.stringify(name)} of a ${path.split(' ')[0] ?? 'node'} is not ${patterns[kind].say}.`,
        cost: null,
        mend: `Name it ${JSON.stringify(suggestion(path, name, kind))}.`,
        owners,
      })),
})

function namesOf(system: SystemNode): Name[] {
  const label = (path: string, name: string, owners: readonly Owner[] = [], kind: Name['kind'] = 'label'): Name => ({
    path: `${path} ${name}`,
    name,
    kind,
    owners,
  })
  return [
    label('system', system.name, [], 'system'),
    ...byName(system.sagas).map((saga) => label('saga', saga.name)),
    ...byName(system.exposures).flatMap((exposure) => [
      label('exposure', exposure.name, [exposureOwner(exposure)]),
      ...Object.keys((exposure.api.kind === 'rest' && exposure.api.versions) || {}).map(
        (version): Name => ({
          path: `version of ${exposure.name}`,
          name: version,
          kind: 'version',
          owners: [exposureOwner(exposure)],
        }),
      ),
    ]),
    ...byName(system.services).flatMap((service) => {
      const owners = [serviceOwner(service)]
      return [
        label('service', service.name, owners, 'service'),
        ...(service.spec.owns ?? [])
          .filter((store) => store.name !== null)
          .map(
            (store): Name => ({ path: `store of ${service.name}`, name: store.name ?? '', kind: 'database', owners }),
          ),
        ...(service.spec.publishes ?? []).map(
          (topic): Name => ({ path: `topic ${topic.name}`, name: topic.name, kind: 'channel', owners }),
        ),
      ]
    }),
    ...messagingNames(system),
    ...allEdges(system, 'reaches').map(({ service, edge }) =>
      label(
        'external',
        edge.external.name,
        [serviceOwner(service)],
        edge.external.standIn === null ? 'label' : 'service',
      ),
    ),
    ...allEdges(system, 'delivers').map(({ service, edge }) =>
      label('webhook', edge.webhook.name, [serviceOwner(service)]),
    ),
  ]
}

function messagingNames(system: SystemNode): Name[] {
  return [
    ...allEdges(system, 'consumes').flatMap(({ service, edge }): Name[] => {
      const { group } = resolveConsume(service.name, edge.policy)
      const owners = [serviceOwner(service)]
      return [
        ...(group === service.name ? [] : [{ path: `group ${group}`, name: group, kind: 'channel' as const, owners }]),
        {
          path: `topic ${edge.topic.name}`,
          name: deadLetterTopic(edge.topic.name, group),
          kind: 'derived',
          owners,
        },
      ]
    }),
    ...(['works', 'sends', 'asks'] as const).flatMap((kind) =>
      allEdges(system, kind).flatMap(({ service, edge: { queue } }) => {
        const owners = [serviceOwner(service)]
        const path = `queue ${queue.name}`
        const { name: retry } = retryQueue(queue.name, resolveRedelivery(queue.redelivery), 1)
        return [
          { path, name: queue.name, kind: 'channel' as const, owners },
          { path, name: deadLetterQueue(queue.name), kind: 'derived' as const, owners },
          { path, name: retry, kind: 'derived' as const, owners },
        ]
      }),
    ),
  ]
}

function suggestion(path: string, name: string, kind: Name['kind']): string {
  if (kind === 'version') return 'v1'
  const plain = name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
  const [what = 'node'] = path.split(' ')
  const begun = /^[0-9]/.test(plain) && !patterns[kind].pattern.test(plain) ? `${what}-${plain}` : plain
  const short = begun.slice(0, Math.min(63, patterns[kind].max)).replace(/-+$/, '')
  return short === '' || short === name ? 'a-short-name' : short
}
