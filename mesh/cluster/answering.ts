import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Url } from './reach.ts'

const patienceMs = 15_000
const answerMsMax = 3_000

/** The same URLs, each with whether it answers: what is told to people was tried. A page that is late gets some seconds. */
export function answering(
  urls: readonly Url[],
  signal: AbortSignal,
): Promise<readonly (Url & { readonly answers: boolean })[]> {
  const until = performance.now() + patienceMs
  return Promise.all(
    urls.map(async (one) => {
      for (;;) {
        if (await answers(one.url)) return { ...one, answers: true }
        if (performance.now() > until || signal.aborted) return { ...one, answers: false }
        await sleep(1_000)
      }
    }),
  )
}

/** Whether anybody answers at all: an edge refuses a path that nobody declared, which is an answer. */
function answers(url: string): Promise<boolean> {
  const { protocol, host, hostname, port } = new URL(url)
  const secure = protocol === 'https:'
  return new Promise((resolve) => {
    const request = (secure ? httpsRequest : httpRequest)(
      {
        // Not every resolver knows the names under `localhost`, as browsers do.
        host: '127.0.0.1',
        port,
        headers: { host },
        timeout: answerMsMax,
        // It is only seen whether it is there; nothing is told to it or believed.
        ...(secure && { servername: hostname, rejectUnauthorized: false }),
      },
      (answer) => {
        answer.resume()
        resolve((answer.statusCode ?? 0) < 500)
      },
    )
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
    request.end()
  })
}
