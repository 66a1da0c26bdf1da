/**
 * The mail server's stand-in: takes every e-mail by SMTP, keeps the last thousand in memory, and shows them on a page.
 * `GET /` is for people, `GET /api/messages` for programs, newest first; `?to=` and `?subject=` narrow it down. `PUT
 * /api/refused/ADDRESS` closes a mailbox until the `DELETE` of it: its e-mails are refused for good, as by any mail server.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import PostalMime from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import { listen } from '#kit/app/address.ts'
import { announceReady, readStandIn } from '#kit/app/stand-in.ts'
import { type Email, mailboxPage } from './page.ts'

const keptMax = 1_000
const emailBytesMax = 1024 * 1024
const refusedMax = 1_000
const emails: Email[] = []
const refused = new Set<string>()

const smtp = new SMTPServer({
  authOptional: true,
  disabledCommands: ['AUTH', 'STARTTLS'],
  size: emailBytesMax,
  onRcptTo({ address }, _session, done) {
    if (!refused.has(address)) return done()
    done(Object.assign(new Error(`5.1.1 There is no mailbox ${address}`), { responseCode: 550 }))
  },
  onData(stream, _session, done) {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      if (stream.sizeExceeded) return done(Object.assign(new Error('The e-mail is too large'), { responseCode: 552 }))
      keep(Buffer.concat(chunks)).then(() => done(), done)
    })
  },
})

async function keep(raw: Buffer): Promise<void> {
  const { messageId = '', from, to = [], subject = '', text = '' } = await PostalMime.parse(raw)
  const addresses = to.flatMap(({ address }) => address ?? [])
  emails.unshift({
    messageId,
    from: from?.address ?? '',
    to: addresses,
    subject,
    text: text.trim(),
    at: new Date().toISOString(),
  })
  emails.length = Math.min(emails.length, keptMax)
}

function show(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://mailbox')
  if (url.pathname === '/api/messages') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(matching(url.searchParams)))
  } else if (url.pathname === '/') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(mailboxPage(matching(url.searchParams)))
  } else {
    response.writeHead(refuse(request.method, url.pathname)).end()
  }
}

/** Closes or opens a mailbox; answers the status. No page of another origin can send these verbs unasked. */
function refuse(verb: string | undefined, path: string): number {
  const address = decodeURIComponent(path.match(/^\/api\/refused\/([^/]+)$/)?.[1] ?? '')
  if (address === '') return 404
  if (verb === 'PUT' && refused.size < refusedMax) refused.add(address)
  else if (verb === 'DELETE') refused.delete(address)
  else return verb === 'PUT' ? 507 : 405
  return 204
}

function matching(query: URLSearchParams): Email[] {
  const to = query.get('to')
  const subject = query.get('subject')
  return emails.filter((email) => (!to || email.to.includes(to)) && (!subject || email.subject.includes(subject)))
}

const { listen: smtpAddress, web } = readStandIn()
await new Promise<void>((resolve, reject) => {
  smtp.once('error', reject)
  smtp.listen(smtpAddress.port, smtpAddress.host, resolve)
})
const pages = createServer(show)
if (web) await listen(pages, web)
await announceReady()
process.once('SIGTERM', () => process.exit(0))
