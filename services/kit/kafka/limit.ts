import { KafkaError } from './port.ts'

/** Waits until the promise has settled, whichever way, or the limit has passed. Answers whether it has. */
export async function settledWithin(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  const limit = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => limit.resolve(false), limitMs)
  const outcome = promise.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([outcome, limit.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The promise's outcome, or a rejection with `TIMED_OUT` once the limit has passed. `doing` begins the message. */
export async function answeredWithin<T>(limitMs: number, promise: Promise<T>, doing: string): Promise<T> {
  if (await settledWithin(limitMs, promise)) return promise
  throw new KafkaError('TIMED_OUT', `${doing} was not answered within ${limitMs} ms.`)
}
