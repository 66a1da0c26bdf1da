import { createConnection, type Socket } from 'node:net'
import { createTransport } from 'nodemailer'
import { abortable } from '#kit/deadline.ts'
import { ServiceError } from '#kit/errors.ts'
import { PermanentFailure } from '#kit/messaging/dead-letter.ts'
import type { Email } from './email.ts'

/** Sends e-mails by SMTP. */
export type Mailer = {
  /**
   * Resolves once the server has taken the e-mail. Rejects with `unavailable` where it may be tried again, and with a
   * PermanentFailure where the server refuses it for good, such as for an address that it does not have.
   */
  send(email: Email): Promise<void>
  close(): Promise<void>
}

type SmtpError = { readonly code?: string; readonly responseCode?: number; readonly response?: string }
type SmtpAddress = { socketPath: string } | { host: string; port: number }

/** Opens the way to the mail server: connections are kept and reused, four at most. Closing it ends what is under way. */
export function openMailer(address: SmtpAddress): Mailer {
  const sockets = new Set<Socket>()
  const closing = new AbortController()
  const transport = createTransport({
    pool: true,
    maxConnections: 4,
    ignoreTLS: true,
    connectionTimeout: 2_000,
    greetingTimeout: 2_000,
    socketTimeout: 10_000,
    // The sidecar's socket: nodemailer itself only knows hosts and ports.
    getSocket: (_options: unknown, done: (error: Error | null, socket: { connection: Socket } | false) => void) => {
      if (closing.signal.aborted) return done(closing.signal.reason, false)
      const connection = createConnection('socketPath' in address ? { path: address.socketPath } : address)
      sockets.add(connection)
      connection.once('close', () => sockets.delete(connection))
      connection.once('connect', () => done(null, { connection }))
      connection.once('error', (error) => done(error, false))
    },
  })
  return {
    async send({ messageId, from, to, subject, text }) {
      try {
        // As an object the address is one address, whatever it holds.
        const sending = transport.sendMail({ messageId, from, to: { name: '', address: to }, subject, text })
        // nodemailer never tells what became of an e-mail that was under way when it was closed.
        await abortable(closing.signal, sending)
      } catch (error) {
        const { code, responseCode = 0, response = '' } = error as SmtpError
        // RFC 5321, 4.2.1: 5yz says that the same will be refused again. Of a greeting or a login it says nothing of the e-mail.
        const isAboutEmail = code === 'EENVELOPE' || code === 'EMESSAGE'
        if (isAboutEmail && responseCode >= 500)
          throw new PermanentFailure(`The mail server refuses ${messageId}: ${response}`)
        throw new ServiceError('unavailable', `The mail server did not take ${messageId}`, { cause: error })
      }
    },
    async close() {
      closing.abort(new Error('The mailer is closed.'))
      transport.close()
      // It forgets connections that are still being opened, and waits for a server that says nothing.
      for (const socket of sockets) socket.destroy()
    },
  }
}
