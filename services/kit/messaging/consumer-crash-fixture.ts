/**
 * A consumer in a process of its own, for tests that kill it. It ends itself, as a crash would, when it comes to an event of
 * the order `dieOn`: before its effect is committed, or right after, when the broker does not know of it yet. With
 * `batch` it is given these records once, as the first of its partition, without a broker.
 */
import { testApp } from '../app/app-fixture.ts'
import type { KafkaConfiguration, PostgresConfiguration } from '../app/configuration.ts'
import { openDatabase } from '../store/database.ts'
import { silentLog } from '../telemetry/log.ts'
import { deliverTo } from './delivery.ts'
import { startMessaging } from './messaging.ts'
import { type EffectTables, recordsOf, shipping, shippingConsumer } from './messaging-fixture.ts'

type Given = {
  readonly postgres: PostgresConfiguration
  readonly kafka: KafkaConfiguration | null
  readonly dieOn: string
  readonly when: 'before the commit' | 'after the commit'
  readonly batch?: readonly string[]
}
const { postgres, kafka, dieOn, when, batch } = JSON.parse(process.argv[2] ?? '{}') as Given

const app = testApp(shipping, { postgres, kafka })
const database = openDatabase<EffectTables>(app)
const die = (moment: Given['when']) => (orderId: string) => {
  if (orderId === dieOn && when === moment) process.kill(process.pid, 'SIGKILL')
}
const consumer = shippingConsumer(database, die('before the commit'), die('after the commit'))
if (batch) {
  const consumers = new Map([['orders', consumer]])
  const deliver = deliverTo({ group: 'shipping', consumers, database, log: silentLog })
  const records = recordsOf(batch)
  const context = { signal: new AbortController().signal, attempt: 1, done: () => undefined, postpone: () => undefined }
  await deliver({ topic: 'orders', partition: 0, records, highWatermark: BigInt(records.length) }, context)
  await database.close()
} else {
  await startMessaging(app, { database, consumers: [consumer] })
}
