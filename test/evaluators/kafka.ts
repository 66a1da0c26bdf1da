/** What Kafka's authorizer lets a principal do, from the meaning of Strimzi's KafkaUsers and of Kafka's ACLs. */
import type { Manifest } from '#providers/manifest.ts'
import { type Loose, NotUnderstood, ofKind, only } from './objects.ts'

/** A resource of the broker. The cluster itself has no name. */
export type KafkaResource = { readonly type: 'topic' | 'group' | 'cluster' | 'transactionalId'; readonly name: string }

const group = 'kafka.strimzi.io'
/** What another operation brings along, by Kafka's own table. */
const implies: Readonly<Record<string, readonly string[]>> = {
  Describe: ['Read', 'Write', 'Delete', 'Alter'],
  DescribeConfigs: ['AlterConfigs'],
}

/** Whether a KafkaUser may do an operation. `user` is its name; a name without a KafkaUser has no certificate, and no way in. */
export function kafkaAllows(
  objects: readonly Manifest[],
  user: string,
  operation: string,
  resource: KafkaResource,
): boolean {
  const clusters = ofKind(objects, group, 'Kafka')
  if (clusters.length !== 1) throw new NotUnderstood(`${clusters.length} Kafka clusters`)
  const { kafka } = clusters[0].spec
  if (kafka.listeners.some(({ authentication }: Loose) => authentication?.type !== 'tls')) return true
  const found = ofKind(objects, group, 'KafkaUser').find(({ metadata }) => metadata.name === user)
  if (found?.spec.authentication?.type !== 'tls') return false
  if (kafka.authorization === undefined) return true
  if (kafka.authorization.type !== 'simple') throw new NotUnderstood(`The authorization ${kafka.authorization.type}`)
  if ((kafka.authorization.superUsers ?? []).includes(`CN=${user}`)) return true
  return aclsAllow(objects, kafka, found.spec.authorization?.acls ?? [], operation, resource)
}

function aclsAllow(
  objects: readonly Manifest[],
  kafka: Loose,
  acls: readonly Loose[],
  operation: string,
  resource: KafkaResource,
): boolean {
  const forResource = acls.filter((acl) => isAbout(acl, resource))
  const hit = (type: string, operations: readonly string[]): boolean =>
    forResource.some(
      (acl) =>
        (acl.type ?? 'allow') === type &&
        acl.operations.some((one: string) => one === 'All' || operations.includes(one)),
    )
  if (hit('deny', [operation])) return false
  if (hit('allow', [operation, ...(implies[operation] ?? [])])) return true
  // Without a single rule of anybody for a resource, a setting of the broker decides.
  const everyone = String(kafka.config?.['allow.everyone.if.no.acl.found'] ?? 'false') === 'true'
  const anyRule = ofKind(objects, group, 'KafkaUser').some(({ spec }) =>
    (spec.authorization?.acls ?? []).some((acl: Loose) => isAbout(acl, resource)),
  )
  return everyone && !anyRule
}

function isAbout(acl: Loose, { type, name }: KafkaResource): boolean {
  only(acl, 'An ACL', 'type', 'resource', 'operations', 'host')
  only(acl.resource, 'A resource', 'type', 'name', 'patternType')
  if (acl.host !== undefined && acl.host !== '*') throw new NotUnderstood(`An ACL for the host ${acl.host}`)
  if (acl.resource.type !== type) return false
  if (type === 'cluster') return true
  if (acl.resource.patternType === 'prefix') return name.startsWith(acl.resource.name)
  return acl.resource.name === '*' || acl.resource.name === name
}

/** The names on the broker of the topics that are made. */
export function kafkaTopics(objects: readonly Manifest[]): readonly string[] {
  return ofKind(objects, group, 'KafkaTopic').map(({ metadata, spec }) => spec.topicName ?? metadata.name)
}

/** The names of the users that are made. */
export function kafkaUsers(objects: readonly Manifest[]): readonly string[] {
  return ofKind(objects, group, 'KafkaUser').map(({ metadata }) => metadata.name)
}
