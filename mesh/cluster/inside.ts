import { PassThrough } from 'node:stream'
import { type KubeConfig, PortForward } from '@kubernetes/client-node'

/**
 * Asks a pod by a forwarded port, so that it sees a request from its own localhost. It speaks HTTP/1.0, whose answer ends where the
 * stream does. Null for anything but a 200 within the time.
 */
export async function askInside(
  config: KubeConfig,
  pod: { readonly namespace: string; readonly name: string },
  port: number,
  path: string,
  timeoutMs: number,
): Promise<string | null> {
  const output = new PassThrough()
  const input = new PassThrough()
  const chunks: Buffer[] = []
  output.on('data', (chunk: Buffer) => chunks.push(chunk))
  let close = (): void => {}
  const timeout = setTimeout(() => output.end(), timeoutMs)
  try {
    const ended = new Promise<void>((resolve) => output.once('finish', resolve))
    const opened = await new PortForward(config).portForward(pod.namespace, pod.name, [port], output, null, input)
    const socket = typeof opened === 'function' ? opened() : opened
    close = () => socket?.close()
    if (socket) socket.onclose = () => output.end()
    input.write(`GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`)
    await Promise.race([ended, whole(output, chunks)])
  } catch {
    // Forwarding is a right of its own, and a pod may be gone: then it is not known.
    return null
  } finally {
    clearTimeout(timeout)
    close()
  }
  return bodyOf(Buffer.concat(chunks).toString('utf8'))
}

/** Some servers say how long the answer is, and keep the stream open behind it. */
function whole(output: PassThrough, chunks: readonly Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    output.on('data', () => {
      const text = Buffer.concat(chunks).toString('latin1')
      const length = text.match(/^content-length: (\d+)\r$/im)?.[1]
      const start = text.indexOf('\r\n\r\n') + 4
      if (start > 3 && length !== undefined && text.length - start >= Number(length)) resolve()
    })
  })
}

function bodyOf(answer: string): string | null {
  const start = answer.indexOf('\r\n\r\n')
  return start >= 0 && /^HTTP\/1\.\d 200 /.test(answer) ? answer.slice(start + 4) : null
}
