import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { accepts } from '../health.ts'
import { layoutOf } from '../layout.ts'
import { ensurePasswords } from '../secrets.ts'
import type { PartTools } from './part.ts'
import { postgresPart } from './postgres.ts'
import { answersTls } from './probe.ts'
import { fixturePlan as plan } from './system-fixture.ts'

/** Takes every connection, and says nothing. */
const address = '127.85.8.1'
const server = createServer((socket) => sockets.add(socket.resume()))
const sockets = new Set<Socket>()
const tools: PartTools = {
  java: '',
  kafkaClasspath: '',
  zipkinJar: '',
  postgresBin: '',
  rabbitmqSbin: '',
  prometheus: '',
}
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

test('a Postgres that logs in and then says nothing does not answer, and is left', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'prl-'))
  const layout = layoutOf(plan, { stateDir, subnet: '127.85.8', host: address })
  const { socketDir, port } = layout.postgres
  const left = Promise.withResolvers<void>()
  const loggedIn = Buffer.from('R\0\0\0\x08\0\0\0\0' + 'Z\0\0\0\x05I', 'latin1')
  const postgres = createServer((socket) => {
    socket.once('data', () => socket.resume().write(loggedIn))
    socket.on('close', () => left.resolve())
  })
  try {
    await ensurePasswords(plan, layout, 'postgres')
    mkdirSync(socketDir, { recursive: true })
    await new Promise<void>((resolve) => postgres.listen(join(socketDir, `.s.PGSQL.${port}`), resolve))
    expect(await postgresPart(plan, layout, tools)?.ready(new AbortController().signal)).toBe(false)
    await left.promise
  } finally {
    postgres.close()
    for (const folder of [stateDir, layout.socketsDir]) rmSync(folder, { recursive: true, force: true })
  }
})

test('whoever says nothing does not answer, once the time is over', async () => {
  expect(await tls(AbortSignal.timeout(50))).toBe(false)
})

test('a time that is over before anybody is asked is over: nobody waits for a silent one', async () => {
  expect(await tls(AbortSignal.abort())).toBe(false)
  expect(await accepts({ host: address, port }, AbortSignal.abort())).toBe(false)
})
