import { request } from 'node:http'
import { RunFailure } from './supervisor/failure.ts'

/** What a service's admin endpoint answered; the body is the parsed JSON. */
export type AdminAnswer = { readonly status: number; readonly body: unknown }

const answerBytesMax = 16 * 1024 * 1024
const timeoutMsDefault = 10_000

/**
 * Asks a service of a run on its admin socket, as `layoutOf(…).services[name].appAdminSocket` says. Any status is an answer.
 * Throws a RunFailure where nobody listens, nobody answers within `timeoutMs` (default 10 s), or the answer is no JSON.
 */
export function adminCall(
  socketPath: string,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  { timeoutMs = timeoutMsDefault }: { readonly timeoutMs?: number } = {},
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(
        new RunFailure(
          `${socketPath} does not answer ${method} ${path}: ${error.message}. Is it up? bin/parley status`,
          {
            cause: error,
          },
        ),
      )
    const signal = AbortSignal.timeout(timeoutMs)
    const headers = { host: 'localhost' }
    const outgoing = request({ socketPath, method, path, agent: false, headers, signal }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > answerBytesMax) response.destroy(new Error(`the answer has more than ${answerBytesMax} bytes`))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () => {
        try {
          const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
          resolve({ status: response.statusCode ?? 0, body })
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
    outgoing.on('error', fail)
    outgoing.end()
  })
}
