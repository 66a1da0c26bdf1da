import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { accepts } from '../health.ts'
import { answersTls } from './probe.ts'

/** Takes every connection, and says nothing. */
const address = '127.85.8.1'
const server = createServer((socket) => sockets.add(socket.resume()))
const sockets = new Set<Socket>()
let port = 0
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => {
  for (const socket of sockets) socket.destroy()
  server.close()
})

const tls = (signal: AbortSignal) => answersTls({ address, port }, {}, Buffer.from('hello'), () => true, signal)

test('whoever says nothing does not answer, once the time is over', async () => {
  expect(await tls(AbortSignal.timeout(50))).toBe(false)
})

test('a time that is over before anybody is asked is over: nobody waits for a silent one', async () => {
  expect(await tls(AbortSignal.abort())).toBe(false)
  expect(await accepts({ host: address, port }, AbortSignal.abort())).toBe(false)
})
