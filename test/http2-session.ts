import { type ClientHttp2Session, connect } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

/**
 * A session of HTTP/2 that trusts whoever answers: it is the caller that is on trial. `tls` is what the caller shows, null for plain
 * text. Whoever opens it closes it.
 */
export function http2Session(
  { address, port }: { readonly address: string; readonly port: number },
  tls: ConnectionOptions | null,
): { readonly session: ClientHttp2Session; readonly close: () => void } {
  const at = { host: address, port }
  const socket = tls ? connectTls({ ...at, ...tls, ALPNProtocols: ['h2'], rejectUnauthorized: false }) : connectTcp(at)
  const session = connect(`${tls ? 'https' : 'http'}://${address}:${port}`, { createConnection: () => socket })
  return {
    session,
    close() {
      session.destroy()
      // Of a client that is refused after its handshake, Node destroys the session alone, and the open socket keeps the process.
      socket.destroy()
    },
  }
}
