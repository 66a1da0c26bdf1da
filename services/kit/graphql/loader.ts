import DataLoader from 'dataloader'

/** Loads things by their keys: what is asked for at the same time becomes one question, and each key is asked once. */
export type Loader<Key, Value> = { load(key: Key): Promise<Value | undefined> }

/**
 * A loader for one request. `ask` is given up to `batchMax` different keys and answers by `id`; a key without an answer is
 * undefined. Where it fails, all who asked hear of it. `id` tells keys apart, by default by themselves.
 */
export function loader<Key, Value>(
  ask: (keys: readonly Key[]) => Promise<ReadonlyMap<unknown, Value>>,
  { batchMax, id = (key) => key }: { readonly batchMax: number; readonly id?: (key: Key) => unknown },
): Loader<Key, Value> {
  return new DataLoader<Key, Value | undefined, unknown>(
    async (keys) => {
      const found = await ask(keys)
      return keys.map((key) => found.get(id(key)))
    },
    { maxBatchSize: batchMax, cacheKeyFn: id },
  )
}
