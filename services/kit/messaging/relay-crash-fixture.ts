/**
 * A relay in a process of its own, for tests that kill it. Writes each row that it sends as a line into a file, and ends
 * itself in the middle of a round: after rows were sent, before they are deleted. Arguments: a JSON object.
 */
import { appendFileSync } from 'node:fs'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { openDatabase } from '../store/database.ts'
import { silentLog } from '../telemetry/log.ts'
import { startRelay } from './relay.ts'

type Given = { readonly postgres: PostgresConfiguration; readonly file: string; readonly dieAfter: number }
const { postgres: configuration, file, dieAfter } = JSON.parse(process.argv[2] ?? '{}') as Given

const node = service('orders', { owns: [postgres()] })
const database = openDatabase({ node, configuration: { postgres: configuration }, log: silentLog })
let sent = 0
startRelay(
  database,
  [
    {
      kind: 'topic',
      destination: 'orders',
      async send(rows) {
        for (const row of rows) {
          appendFileSync(file, `${row.key} ${row.id}\n`)
          sent += 1
          if (sent === dieAfter) process.kill(process.pid, 'SIGKILL')
        }
        return { acknowledged: rows.map(({ rowId }) => rowId), refused: [] }
      },
    },
  ],
  silentLog,
  { batchMax: 50 },
)
