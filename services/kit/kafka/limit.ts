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
