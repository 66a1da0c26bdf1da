import { request } from 'node:http'
import { RunFailure } from './supervisor/failure.ts'

/** What a service's admin endpoint answered; the body is the parsed JSON, or `{ message }` with the text that is none. */
type AdminAnswer = { readonly status: number; readonly body: unknown }

const answerBytesMax = 16 * 1024 * 1024
const timeoutMs = 10_000

/**
 * Asks a service of a run on its admin socket, as `layoutOf(…).services[name].appAdminSocket` says. Any status is an answer.
 * Throws a RunFailure where nobody listens, or nobody answers within 10 s. `body` is that of a POST.
 */
export function adminCall(
  socketPath: string,
  verb: 'GET' | 'POST',
  path: string,
  body: Readonly<Record<string, unknown>> = {},
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(
        new RunFailure(`${socketPath} does not answer ${verb} ${path}: ${error.message}. Is it up? bin/parley status`, {
          cause: error,
        }),
      )
    const signal = AbortSignal.timeout(timeoutMs)
    const headers = { host: 'localhost', 'content-type': 'application/json' }
    const outgoing = request({ socketPath, method: verb, path, agent: false, headers, signal }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > answerBytesMax) response.destroy(new Error(`the answer has more than ${answerBytesMax} bytes`))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString('utf8')) })
      })
    })
    outgoing.on('error', fail)
    outgoing.end(verb === 'POST' ? JSON.stringify(body) : undefined)
  })
}

/** A service in another language may answer in plain text: that is an answer too, and no reason to call it down. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return { message: text.trim() }
  }
}
