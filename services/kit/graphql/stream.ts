import { setTimeout as sleep } from 'node:timers/promises'
import { type ExecutionResult, GraphQLError } from 'graphql'
import { ServiceError } from '../errors.ts'
import { refusalWithinMs, type ServerEvent } from '../http/events.ts'
import { causeOf } from './errors.ts'
import { positionOf } from './subscription.ts'

/** How often a stream that has nothing to tell shows that it lives; proxies end what is silent for a minute. */
const aliveEveryMs = 15_000

/**
 * The results of a subscription as server-sent events: `next` with a result, and `complete` after the last (GraphQL over SSE,
 * distinct connections). A stream that ends without `complete` is to be opened again, which browsers do by themselves.
 */
export async function* tell(
  results: AsyncIterable<ExecutionResult>,
  context: object,
  shown: (result: ExecutionResult) => object,
): AsyncIterable<ServerEvent> {
  let told = false
  const beganMs = performance.now()
  try {
    for await (const result of withSignsOfLife(results)) {
      if (result === 'alive') yield {}
      else {
        const id = positionOf(context)
        yield { ...(id !== undefined && { id }), event: 'next', data: shown(result) }
        told = true
      }
    }
  } catch (thrown) {
    const error = ServiceError.from(causeOf(thrown))
    // As long as nothing was answered it is a status; what passes ends the stream, and the client comes back.
    const answered = told || performance.now() - beganMs >= refusalWithinMs
    if (!answered || error.transient || error.code === 'cancelled') throw error
    yield { event: 'next', data: shown({ errors: [new GraphQLError(error.message, { originalError: error })] }) }
  }
  yield { event: 'complete', data: '' }
}

async function* withSignsOfLife<Item>(items: AsyncIterable<Item>): AsyncIterable<Item | 'alive'> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    let next = iterator.next()
    for (;;) {
      const heard = new AbortController()
      const silence = sleep(aliveEveryMs, 'alive' as const, { signal: heard.signal, ref: false }).catch(
        () => 'alive' as const,
      )
      const item = await Promise.race([next, silence])
      heard.abort()
      if (item === 'alive') yield 'alive'
      else if (item.done) return
      else {
        yield item.value
        next = iterator.next()
      }
    }
  } finally {
    iterator.return?.()?.catch(() => undefined)
  }
}
