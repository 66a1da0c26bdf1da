/**
 * Works up to `concurrentMax` items at a time and gives the results in the items' order, each as soon as it and those
 * before it are there. Takes the next item only when there is room for it, so a slow reader of the results slows whoever
 * sends the items. A failure of `work` ends all; what is under way then is waited for.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  concurrentMax: number,
  work: (item: T, index: number) => Promise<R>,
): AsyncIterable<R> {
  const underWay: Promise<R>[] = []
  const source = items[Symbol.asyncIterator]()
  let index = 0
  let coming: Promise<IteratorResult<T>> | undefined
  let ended = false
  try {
    while (!ended || underWay.length > 0) {
      const [first] = underWay
      if (!ended && underWay.length < concurrentMax) {
        coming ??= source.next()
        // The next item may be long in coming, and an answer that is ready must not wait for it.
        const next = await (first ? Promise.race([coming, first.then(() => 'answered' as const)]) : coming)
        if (next !== 'answered') {
          coming = undefined
          ended = next.done === true
          if (!next.done) underWay.push(quietly(work(next.value, index++)))
          continue
        }
      }
      if (first) {
        yield await first
        underWay.shift()
      }
    }
  } finally {
    await Promise.allSettled(underWay)
    // A sender that is silent cannot be asked to stop; it hears of it from the call's end.
    if (coming) coming.catch(() => undefined)
    else await source.return?.()
  }
}

/** A promise whose failure is met later, by whoever awaits it. */
function quietly<R>(promise: Promise<R>): Promise<R> {
  promise.catch(() => undefined)
  return promise
}
