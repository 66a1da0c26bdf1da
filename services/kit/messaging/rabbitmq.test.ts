import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { asks, queue } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { issue, newAuthority } from '#local/certificates/authority.ts'
import { QuoteRequestSchema, QuoteSchema } from '#proto/parley/shipping/v1/quotes_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import { until } from '../until-fixture.ts'
import { openAsker } from './asker.ts'
import { startMessaging } from './messaging.ts'

jest.setTimeout(15_000)

const questions = queue('questions', { carries: [QuoteRequestSchema], replies: QuoteSchema })
const planning = service('planning', { edges: [asks(questions, { deadlineMs: 800 })] })
const folder = mkdtempSync(join(tmpdir(), 'kit-mq-'))
const file = (name: string) => join(folder, name)

/** Methods of AMQP by their class and number. */
const method = { startOk: '10.11', tuneOk: '10.31', open: '10.40', close: '10.50', cancel: '60.30' } as const
/** What the broker answers to a method with, where that is more than the next number; the rest of a broker there is not. */
const answers: Readonly<Record<string, readonly [string, string]>> = {
  [method.startOk]: ['10.30', '0064 00020000 0000'],
  [method.open]: ['10.41', '00'],
  '20.10': ['20.11', '00000000'],
  '50.10': ['50.11', '0171 00000000 00000000'],
  '60.20': ['60.21', '0174'],
}

let server: ReturnType<typeof createServer>
let port: number
const sockets = new Set<TLSSocket>()
let connections = 0
/** What the broker does instead of answering; true where it did something. */
let instead: (asked: string, socket: Socket) => boolean

beforeAll(async () => {
  const authority = await newAuthority('test', 3_600_000)
  const subject = { name: 'rabbitmq', spiffe: null, dnsNames: [], addresses: ['127.0.0.1'] }
  const { cert, key } = await issue(authority, subject, 3_600_000)
  writeFileSync(file('ca'), authority.cert)
  writeFileSync(file('cert'), cert)
  writeFileSync(file('key'), key)
  writeFileSync(file('password'), 'secret')
  // A peer that does not close of itself because the other side has.
  server = createServer({ cert, key, allowHalfOpen: true }, serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})

afterAll(() => {
  server.close()
  for (const socket of sockets) socket.destroy()
  rmSync(folder, { recursive: true })
})

beforeEach(() => {
  connections = 0
  instead = () => false
})

function serve(socket: TLSSocket): void {
  connections += 1
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
  let heard = Buffer.alloc(0)
  let greeted = false
  socket.on('data', (bytes) => {
    heard = Buffer.concat([heard, bytes])
    if (!greeted) {
      greeted = true
      heard = heard.subarray(8)
      send(socket, 0, '10.10', `0009 00000000 00000005${Buffer.from('PLAIN').toString('hex')} 00000002656e`)
    }
    while (heard.length >= 8 && heard.length >= heard.readUInt32BE(3) + 8) {
      const [channel, end] = [heard.readUInt16BE(1), heard.readUInt32BE(3) + 8]
      const asked = `${heard.readUInt16BE(7)}.${heard.readUInt16BE(9)}`
      heard = heard.subarray(end)
      if (instead(asked, socket) || asked === method.tuneOk) continue
      const [id, fields] = answers[asked] ?? [asked.replace(/\d+$/, (number) => String(Number(number) + 1)), '']
      send(socket, channel, id, fields)
    }
  })
}

function send(socket: Socket, channel: number, id: string, fields: string): void {
  const payload = Buffer.concat([Buffer.alloc(4), Buffer.from(fields.replaceAll(' ', ''), 'hex')])
  id.split('.').forEach((number, index) => {
    payload.writeUInt16BE(Number(number), index * 2)
  })
  const head = Buffer.alloc(7, 1)
  head.writeUInt16BE(channel, 1)
  head.writeUInt32BE(payload.length, 3)
  socket.write(Buffer.concat([head, payload, Buffer.from([0xce])]))
}

function configuration() {
  const tls = { authorityFile: file('ca') }
  return { host: '127.0.0.1', port, virtualHost: 'test', username: 'planning', passwordFile: file('password'), tls }
}

const open = () => openAsker(testApp(planning, { rabbitmq: configuration() }), questions)

/** Whoever has closed a connection as a whole refuses what still comes. */
const gone = () =>
  until(() => {
    for (const socket of sockets) socket.write('still there?')
    return sockets.size === 0
  }, 'its socket is closed')

describe('closing leaves no connection', () => {
  test('to a broker that goes away as its consumer takes leave', async () => {
    instead = (asked, socket) => {
      if (asked === method.cancel) socket.destroy()
      return asked === method.cancel
    }
    const asker = open()
    await until(() => asker.ready(), 'the reply queue is there')
    await asker.close()
    // Longer than the client waits before it connects again.
    await sleep(500)
    expect([connections, sockets.size]).toEqual([1, 0])
  })

  test('to one that never says goodbye', async () => {
    instead = (asked) => asked === method.close
    const asker = open()
    await until(() => asker.ready(), 'the reply queue is there')
    await asker.close()
    await gone()
  })

  test('to one that is away, at once', async () => {
    const asker = open()
    await until(() => asker.ready(), 'the reply queue is there')
    instead = () => true
    for (const socket of sockets) socket.destroy()
    await until(() => connections > 1, 'it connects again')
    const beganMs = performance.now()
    await asker.close()
    expect(performance.now() - beganMs).toBeLessThan(2_000)
    await gone()
  })
})

test('messaging that cannot start has opened no connection', async () => {
  const tls = { authorityFile: file('ca'), certFile: file('cert'), keyFile: file('key') }
  const kafka = { brokers: ['127.0.0.1:9'], client: 'kafkajs', tls } as const
  const query = () => Promise.reject(new Error('no database'))
  const database = { query, session: query, transaction: query } as never
  const stream = { name: 'sales', group: 'sales', letters: [], database } as never
  const app = testApp(planning, { rabbitmq: configuration(), kafka })
  await expect(startMessaging(app, { database, streams: [stream] })).rejects.toThrow('no database')
  await sleep(200)
  expect(connections).toBe(0)
})
