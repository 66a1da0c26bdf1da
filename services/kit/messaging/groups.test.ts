import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { consumes } from '#graph/topic.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import { type ConsumeOptions, type Consumer, type Kafka, KafkaError } from '../kafka/port.ts'
import type { Database } from '../store/database.ts'
import { silentLog } from '../telemetry/log.ts'
import { membershipsOf, startGroups } from './groups.ts'
import { type EffectTables, orderEvents, shipping, shippingConsumer } from './messaging-fixture.ts'

const serving = service('shipping', {
  exposes: [InventoryService],
  edges: [consumes(orderEvents, [OrderPlacedSchema])],
})
const memberships = membershipsOf([shippingConsumer({} as Database<EffectTables>, () => undefined)], silentLog)

/** A membership that comes when the test says so, and at the latest when it is given up. */
function kafkaThat(consume: Kafka['consume']): Kafka {
  return {
    consume,
    beginnings: async () => [],
    producer: () => ({ send: async () => undefined, close: async () => undefined }),
  }
}
const member: Consumer = { lag: () => [], assigned: () => [], close: async () => undefined }

function away() {
  const back = Promise.withResolvers<void>()
  const kafka = kafkaThat(async ({ signal }: ConsumeOptions) => {
    signal?.addEventListener('abort', () => back.resolve())
    await back.promise
    return member
  })
  return { kafka, back: () => back.resolve() }
}

test('a service that exposes an interface is ready while Kafka is away; one that only consumes says what it waits for', async () => {
  const [both, alone] = [testApp(serving), testApp(shipping)]
  const { kafka, back } = away()
  const groups = [both, alone].map((app) => startGroups(app, kafka, memberships))
  expect(await both.notReady()).toEqual({})
  expect(await alone.notReady()).toEqual({ consumers: 'joining their groups' })
  back()
  await sleep(5)
  expect(await alone.notReady()).toEqual({})
  for (const group of groups) await group.close()
})

test('a broker that refuses the service is told of aloud, also where an interface is exposed, and closing does not wait', async () => {
  const errors: string[] = []
  const app = testApp(serving, {}, { ...silentLog, error: (message) => void errors.push(message) })
  const refusing = kafkaThat(async () => {
    throw new KafkaError('NOT_AUTHORIZED', 'Consuming orders as shipping failed: GROUP_AUTHORIZATION_FAILED')
  })
  const groups = startGroups(app, refusing, memberships)
  await sleep(5)
  expect(errors).toEqual(['A consumer group cannot be joined; it is tried again.'])
  expect(await app.notReady()).toEqual({ consumers: expect.stringContaining('GROUP_AUTHORIZATION_FAILED') })
  await groups.close()
})

test('a group gathers for as long as the most impatient of its edges', () => {
  const made = shippingConsumer({} as Database<EffectTables>, () => undefined)
  const gathering = (gatherMs: number) => ({ ...made, policy: { ...made.policy, gatherMs } })
  expect(memberships.map(({ gatherMs }) => gatherMs)).toEqual([0])
  expect(membershipsOf([gathering(100), gathering(40)], silentLog).map(({ gatherMs }) => gatherMs)).toEqual([40])
})

test('closing gives up a group that is being joined', async () => {
  const groups = startGroups(testApp(serving), away().kafka, memberships)
  await groups.close()
})
