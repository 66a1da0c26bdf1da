/** Does something with each item, at most `max` at once, and gives the results in the items' order. The first error ends it. */
export async function concurrently<T, R>(
  items: readonly T[],
  max: number,
  act: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const index = next
      next += 1
      results[index] = await act(items[index] as T)
    }
  }
  await Promise.all(Array.from({ length: Math.min(max, items.length) }, work))
  return results
}
