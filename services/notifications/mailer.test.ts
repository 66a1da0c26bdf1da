import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { SMTPServer } from 'smtp-server'
import { PermanentFailure } from '#kit/messaging/dead-letter.ts'
import { type Mailer, openMailer } from './mailer.ts'

const answers = new Map([
  ['nobody@x.example', 550],
  ['later@x.example', 451],
])
let isClosed = false
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['AUTH', 'STARTTLS'],
  onConnect: (_session, done) => done(isClosed ? Object.assign(new Error('not here'), { responseCode: 554 }) : null),
  onRcptTo({ address }, _session, done) {
    const responseCode = answers.get(address)
    done(responseCode ? Object.assign(new Error(`no ${address}`), { responseCode }) : null)
  },
  onData(stream, _session, done) {
    stream.resume()
    stream.on('end', () => done())
  },
})
let mailer: Mailer

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  mailer = openMailer({ host: '127.0.0.1', port: (server.server.address() as AddressInfo).port })
})

afterAll(async () => {
  await mailer?.close()
  await new Promise<void>((resolve) => server.close(() => resolve()))
})

const send = (to: string) => mailer.send({ messageId: '<1@shop>', from: 'shop@x.example', to, subject: 's', text: 't' })

test('an e-mail that the server refuses for good is not tried again; one that it refuses for now is', async () => {
  await send('somebody@x.example')
  await expect(send('nobody@x.example')).rejects.toThrow(
    new PermanentFailure('The mail server refuses <1@shop>: 550 no nobody@x.example'),
  )
  await expect(send('nobody@x.example')).rejects.toBeInstanceOf(PermanentFailure)
  await expect(send('later@x.example')).rejects.toMatchObject({ code: 'unavailable' })
})

test('a server that takes no e-mail at all says nothing of this one', async () => {
  const { port } = server.server.address() as AddressInfo
  isClosed = true
  const refused = openMailer({ host: '127.0.0.1', port })
  const email = { messageId: '<2@shop>', from: 'shop@x.example', to: 'somebody@x.example', subject: 's', text: 't' }
  await expect(refused.send(email)).rejects.toMatchObject({ code: 'unavailable' })
  await refused.close()
  isClosed = false
})

test('closing ends what is under way, and a server that says nothing keeps nothing open', async () => {
  const connected = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const silent = createServer((socket) => {
    socket.on('error', () => undefined).on('close', ended.resolve)
    socket.resume()
    connected.resolve()
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const mailer = openMailer({ host: '127.0.0.1', port: (silent.address() as AddressInfo).port })
  const email = { messageId: '<3@shop>', from: 'shop@x.example', to: 'somebody@x.example', subject: 's', text: 't' }
  const sending = expect(mailer.send(email)).rejects.toMatchObject({ code: 'unavailable' })
  await connected.promise
  const beganMs = performance.now()
  await mailer.close()
  await Promise.all([sending, ended.promise])
  expect(performance.now() - beganMs).toBeLessThan(1_500)
  await expect(mailer.send(email)).rejects.toMatchObject({ code: 'unavailable' })
  silent.close()
})
