import { createHash } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Who answers behind a forwarded port of a pod: a TCP address, or nobody. */
export type Inside = (pod: string, port: number) => { readonly host: string; readonly port: number } | undefined

/** Gives a fake API server the forwarding of ports, as Kubernetes speaks it: a WebSocket whose messages begin with a channel. */
export function forwardPorts(server: Server, inside: Inside): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://server')
    const pod = pathname.match(/\/pods\/([^/]+)\/portforward$/)?.[1]
    const port = Number(searchParams.get('ports'))
    // Who asked may leave at any time.
    socket.on('error', () => socket.destroy())
    if (pod === undefined) return void socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
    acceptWebSocket(request, socket)
    socket.on('end', () => socket.end())
    const portBytes = Buffer.from([port & 255, port >> 8])
    for (const channel of [data, trouble]) socket.write(frame(channel, portBytes))
    const at = inside(pod, port)
    if (at) tunnel(socket, connect(at.port, at.host))
    else socket.resume().end(Buffer.concat([frame(trouble, Buffer.from(`connection refused at ${port}`)), closing]))
  })
}

const data = 0
const trouble = 1
const binary = 2
const close = 8
const closing = Buffer.from([0x80 | close, 0])

/** Says yes to a request for a WebSocket, and nothing more. */
export function acceptWebSocket({ headers }: IncomingMessage, socket: Duplex): void {
  const key = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  const protocol = headers['sec-websocket-protocol']?.split(',')[0]?.trim()
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
  lines.push(
    `Sec-WebSocket-Accept: ${key.digest('base64')}`,
    ...(protocol ? [`Sec-WebSocket-Protocol: ${protocol}`] : []),
  )
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
}

function tunnel(socket: Duplex, pod: Socket): void {
  let held = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes])
    for (let next = unframed(held); next; next = unframed(held)) {
      held = held.subarray(next.bytes)
      if (next.opcode === close) pod.destroy()
      else if (next.payload[0] === data) pod.write(next.payload.subarray(1))
    }
  })
  pod.on('data', (bytes: Buffer) => socket.write(frame(data, bytes)))
  pod.on('close', () => socket.end(closing))
  pod.on('error', () => socket.end())
  socket.on('close', () => pod.destroy())
}

function frame(channel: number, bytes: Buffer): Buffer {
  const payload = Buffer.concat([Buffer.from([channel]), bytes])
  const header = Buffer.alloc(10)
  header[0] = 0x80 | binary
  header[1] = 127
  header.writeUInt32BE(payload.length, 6)
  return Buffer.concat([header, payload])
}

/** The first whole frame of a client, whose payload is masked. */
function unframed(held: Buffer): { readonly opcode: number; readonly payload: Buffer; readonly bytes: number } | null {
  if (held.length < 2) return null
  const short = (held[1] ?? 0) & 127
  const start = short === 126 ? 4 : 2
  if (held.length < start + 4) return null
  const length = short === 126 ? held.readUInt16BE(2) : short
  if (held.length < start + 4 + length) return null
  const mask = held.subarray(start, start + 4)
  const payload = Buffer.from(held.subarray(start + 4, start + 4 + length)).map(
    (byte, at) => byte ^ (mask[at % 4] ?? 0),
  )
  return { opcode: (held[0] ?? 0) & 15, payload: Buffer.from(payload), bytes: start + 4 + length }
}
