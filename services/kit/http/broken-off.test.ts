import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { service } from '#graph/service.ts'
import { socketFolder, testApp } from '../app/app-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { restServer } from './server.ts'

const api = rest('taking-api', { take: 'POST /things' })
const deadlineMs = 100
const half = 'POST /things HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{'

test('a client that leaves amid its request, in time or late, is no fault of ours, and no rejection escapes', async () => {
  const sockets = socketFolder()
  const address = sockets.at('taking')
  const faults: string[] = []
  const log = { ...silentLog, error: (message: string) => void faults.push(message) }
  const app = testApp(service('taking', { exposes: [api] }), { listen: address }, log)
  const take = { handler: async () => ({ status: 200 }) }
  await app.add('rest', restServer(app, api, { take }, { deadlineMs, bodyBytesMax: null }))
  for (const leavesAfterMs of [20, 2 * deadlineMs]) {
    const client = connect(address.path, () => client.write(half))
    client.on('error', () => undefined)
    await sleep(leavesAfterMs)
    client.destroy()
    await sleep(50)
  }
  await app.stop()
  sockets.remove()
  // A rejection that escapes fails the test by itself.
  expect(faults).toEqual([])
})
