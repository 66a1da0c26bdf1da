/**
 * A stream in a process of its own, for tests that kill it. With `dieAt` it is given its records from the first one on, in one
 * batch without a broker, and ends itself, as a crash would, before the statement of that number of one batch's transaction, or
 * right after its commit. Otherwise it is a member of its group until it is killed.
 */
import { flushCompileCache } from 'node:module'
import { testApp } from '../app/app-fixture.ts'
import type { KafkaConfiguration, PostgresConfiguration } from '../app/configuration.ts'
import type { Transactions } from '../messaging/handling.ts'
import { type AnyTx, openDatabase } from '../store/database.ts'
import { silentLog } from '../telemetry/log.ts'
import { applyTo } from './batch.ts'
import { closeWindows } from './closing.ts'
import { createStream } from './state.ts'
import { incoming, type Placed, tally, tallyStream } from './streaming-fixture.ts'

type Given = {
  readonly postgres: PostgresConfiguration
  readonly kafka: KafkaConfiguration | null
  readonly dieAt?: number
  readonly records?: readonly { readonly key: string; readonly timeMs: number }[]
}
const { postgres, kafka, dieAt, records = [] } = JSON.parse(process.argv[2] ?? '{}') as Given

const app = testApp(tally, { postgres, kafka })
const database = openDatabase<object>(app)
if (dieAt === undefined) {
  // Most of what a service loads is not needed by the other way, and takes most of its time.
  const { startMessaging } = await import('../messaging/messaging.ts')
  await startMessaging(app, { database, streams: [tallyStream(database)] })
} else {
  let statements = 0
  const step = () => {
    statements += 1
    // What was compiled is kept for the next one, which a killed process would not do.
    if (statements === 1) flushCompileCache()
    if (statements === dieAt) process.kill(process.pid, 'SIGKILL')
  }
  const dying: Transactions = {
    ...database,
    transaction: async (run, options) => {
      const result = await database.transaction((tx) => {
        const query: AnyTx['query'] = (statement, values) => {
          step()
          return tx.query(statement, values)
        }
        return run({ ...tx, query })
      }, options)
      step()
      return result
    },
  }
  const stream = tallyStream(dying)
  await createStream(database, stream.name)
  await deliver(applyTo(stream, silentLog, 1), incoming(records as readonly Placed[]))
  await closeWindows(stream, [])
  await database.close()
}

async function deliver(handle: ReturnType<typeof applyTo>, all: ReturnType<typeof incoming>): Promise<void> {
  const { signal } = new AbortController()
  const batch = { topic: 'orders', partition: 0, records: all, highWatermark: BigInt(all.length) }
  await handle(batch, { signal, attempt: 1, done: () => undefined, postpone: () => undefined })
}
