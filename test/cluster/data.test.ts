/** Who may do what to topics, groups, queues and databases, by evaluators of the rendered users, ACLs and rules. */
import { describe, expect, test } from '@jest/globals'
import { replyExchange, replyQueuePrefix } from '#graph/names.ts'
import { retriesOf } from '#plan/messaging.ts'
import type { Plan } from '#plan/plan.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type KafkaResource, kafkaAllows, kafkaTopics, kafkaUsers } from '../evaluators/kafka.ts'
import { without } from '../evaluators/objects.ts'
import { databaseOwners, databaseRoles, ownDatabases, postgresAllows } from '../evaluators/postgres.ts'
import { rabbitmqAllows, rabbitmqResources } from '../evaluators/rabbitmq.ts'
import { renderedCases } from '../fixtures/rendered.ts'

const cases = renderedCases()
const withTopics = cases.filter(({ plan }) => plan.topics.length > 0)
const withQueues = cases.filter(({ plan }) => plan.queues.length > 0)
const withStores = cases.filter(({ plan }) => plan.stores.length > 0)

describe('topics and groups', () => {
  test.each(withTopics)('$title', ({ plan, objects }) => {
    expect(kafkaRights(plan, objects)).toEqual(declaredInKafka(plan))
    expect([...kafkaTopics(objects)].sort()).toEqual(plan.topics.map(({ name }) => name).sort())
  })

  test.each(withTopics)('each user that is gone is noticed: $title', ({ plan, objects }) => {
    const whole = kafkaRights(plan, objects)
    for (const user of objects.filter(({ kind }) => kind === 'KafkaUser')) {
      expect(kafkaRights(plan, without(objects, user))).not.toEqual(whole)
    }
  })

  test.each(withTopics)('a pattern too wide is noticed: $title', ({ plan, objects }) => {
    const wide = JSON.parse(JSON.stringify(objects).replace('"patternType":"literal"', '"patternType":"prefix"'))
    expect(kafkaRights(plan, wide)).not.toEqual(declaredInKafka(plan))
  })
})

describe('queues', () => {
  test.each(withQueues)('$title', ({ plan, objects }) => {
    expect(rabbitmqRights(plan, objects)).toEqual(declaredInRabbitmq(plan))
  })

  test.each(withQueues)('each permission that is gone is noticed: $title', ({ plan, objects }) => {
    const whole = rabbitmqRights(plan, objects)
    for (const permission of objects.filter(({ kind }) => kind === 'Permission')) {
      expect(rabbitmqRights(plan, without(objects, permission))).not.toEqual(whole)
    }
  })

  test.each(withQueues)('a pattern without its end is noticed: $title', ({ plan, objects }) => {
    const wide = JSON.parse(JSON.stringify(objects).replaceAll(')$"', ')"'))
    expect(rabbitmqRights(plan, wide)).not.toEqual(declaredInRabbitmq(plan))
  })
})

describe('databases', () => {
  test.each(withStores)('$title', ({ plan, objects }) => {
    expect(postgresRights(plan, objects)).toEqual(declaredInPostgres(plan))
    const owners = plan.stores.map(({ role, database }) => ({ role, database }))
    expect([...databaseOwners(objects)].sort(byDatabase)).toEqual(owners.sort(byDatabase))
  })

  test.each(withStores)(
    'the last rule that refuses the rest is noticed when it is gone: $title',
    ({ plan, objects }) => {
      const lax = JSON.parse(JSON.stringify(objects).replace('"host all all all reject"', '"hostssl all all all cert"'))
      expect(postgresRights(plan, lax)).not.toEqual(declaredInPostgres(plan))
    },
  )
})

const operations = [
  'Read',
  'Write',
  'Describe',
  'Create',
  'Delete',
  'Alter',
  'DescribeConfigs',
  'AlterConfigs',
] as const

function kafkaRights(plan: Plan, objects: readonly Manifest[]): readonly string[] {
  const users = [...new Set([...everybody(plan), ...kafkaUsers(objects)])]
  const topics = [
    ...plan.topics.map(({ name }) => name),
    ...plan.topics.map(({ name }) => `${name}2`),
    '__consumer_offsets',
  ]
  const groups = [...plan.grants.groups.map(({ group }) => group), 'console-consumer-1']
  const resources: readonly KafkaResource[] = [
    ...topics.map((name) => ({ type: 'topic' as const, name })),
    ...groups.flatMap((name) => [name, `${name}2`]).map((name) => ({ type: 'group' as const, name })),
    { type: 'cluster', name: 'kafka-cluster' },
    { type: 'transactionalId', name: 'any' },
  ]
  return sorted(
    users.flatMap((user) =>
      resources.flatMap((resource) =>
        [...operations, 'IdempotentWrite', 'ClusterAction']
          .filter((operation) => kafkaAllows(objects, user, operation, resource))
          .map((operation) => `${user} ${operation} ${resource.type} ${resource.name}`),
      ),
    ),
  )
}

/** Whoever may read or write may also describe, which Kafka adds by itself. */
function declaredInKafka({ grants }: Plan): readonly string[] {
  return sorted([
    ...grants.topics.flatMap(({ service, topic, operation }) => [
      `${service} ${operation === 'read' ? 'Read' : 'Write'} topic ${topic}`,
      `${service} Describe topic ${topic}`,
    ]),
    ...grants.groups.flatMap(({ service, group }) => [
      `${service} Read group ${group}`,
      `${service} Describe group ${group}`,
    ]),
  ])
}

function rabbitmqRights(plan: Plan, objects: readonly Manifest[]): readonly string[] {
  const resources = [
    ...rabbitmqResources(objects),
    ...rabbitmqResources(objects).flatMap((name) => [`${name}2`, `x${name}`, name.replace('.', 'x')]),
    ...plan.services.map(({ name }) => `${replyQueuePrefix(name)}1`),
    // Exchanges that every virtual host has, the nameless one by the name that permissions know it by.
    ...['amq.default', 'amq.topic', 'amq.direct', 'amq.gen-1'],
  ]
  return sorted(
    everybody(plan).flatMap((user) =>
      (['configure', 'write', 'read'] as const).flatMap((operation) =>
        resources
          .filter((resource) => rabbitmqAllows(objects, user, operation, resource))
          .map((resource) => `${user} ${operation} ${resource}`),
      ),
    ),
  )
}

function declaredInRabbitmq(plan: Plan): readonly string[] {
  return sorted(plan.grants.queues.flatMap((grant) => rightsOf(grant, plan)))
}

/**
 * To send is to write to the queue's exchange. To work it is to read it and its dead letters, to write what failed to
 * where it waits or ends, and the answers to theirs. To ask is to send, with reply queues of one's own.
 */
function rightsOf(
  { service, queue, operation }: Plan['grants']['queues'][number],
  { queues }: Plan,
): readonly string[] {
  const found = queues.find(({ name }) => name === queue)
  const dead = found?.deadLetterQueue ? [found.deadLetterQueue] : []
  const retries = found ? retriesOf(found) : []
  const own = `${replyQueuePrefix(service)}1`
  switch (operation) {
    case 'send':
      return [`${service} write ${queue}`]
    case 'work':
      return [
        ...[queue, ...dead].map((name) => `${service} read ${name}`),
        ...[...retries.map(({ name }) => name), ...dead].map((name) => `${service} write ${name}`),
        ...(found?.replies ? [`${service} write ${replyExchange(queue)}`] : []),
      ]
    case 'ask':
      return [
        `${service} write ${queue}`,
        `${service} read ${replyExchange(queue)}`,
        ...['configure', 'write', 'read'].map((right) => `${service} ${right} ${own}`),
      ]
  }
}

function postgresRights(plan: Plan, objects: readonly Manifest[]): readonly string[] {
  const roles = [...new Set([...everybody(plan), ...databaseRoles(objects), 'postgres', 'app', 'all'])]
  const databases = [...plan.stores.map(({ database }) => database), ...ownDatabases]
  return sorted(
    roles.flatMap((role) =>
      databases.filter((database) => postgresAllows(objects, role, database)).map((database) => `${role} ${database}`),
    ),
  )
}

function declaredInPostgres({ grants }: Plan): readonly string[] {
  return sorted(grants.databases.map(({ service, database }) => `${service} ${database}`))
}

/** Every service, and names that nobody gave. */
function everybody({ services, externals }: Plan): readonly string[] {
  return [...services, ...externals].map(({ name }) => name).concat('stranger', 'guest', 'ANONYMOUS')
}

function sorted(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)].sort()
}

function byDatabase(a: { readonly database: string }, b: { readonly database: string }): number {
  return a.database < b.database ? -1 : 1
}
