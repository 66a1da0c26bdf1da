import { type RequestOptions, request } from 'node:http'

const answerBytesMax = 16 * 1024 * 1024

/**
 * One request over a connection of its own, whatever leads to the service, and the text of its answer, whatever the status.
 * `payload` is JSON. Rejects where the connection fails, the `signal` aborts, or the answer has more than 16 MiB.
 */
export function exchange(
  options: Pick<RequestOptions, 'method' | 'path' | 'createConnection' | 'signal'>,
  payload?: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers = {
    host: 'localhost',
    connection: 'close',
    ...(payload !== undefined && { 'content-type': 'application/json' }),
  }
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, headers }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > answerBytesMax) response.destroy(new Error(`the answer has more than ${answerBytesMax} bytes`))
        else chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(payload)
  })
}
