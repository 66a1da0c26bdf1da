import type CachePolicy from 'http-cache-semantics'

/** An answer that is kept, and for how long and for whom it is good. */
export type Kept = { readonly policy: CachePolicy; readonly status: number; readonly body: unknown }

/** What a cache may hold. */
export type CacheBounds = {
  /** Answers. Default: 1,000. */
  readonly entriesMax?: number
  /** Their bodies and headers, as they were sent. Default: 8 MiB. */
  readonly bytesMax?: number
}

/** Answers by key; what was not used for longest makes room. */
export type CacheStore = {
  get(key: string): Kept | undefined
  /** Keeps an answer, unless it alone is larger than all may be. */
  set(key: string, kept: Kept, bytes: number): void
  delete(key: string): void
  keys(): readonly string[]
}

/** Opens an empty store. */
export function openCacheStore({ entriesMax = 1_000, bytesMax = 8 * 1024 * 1024 }: CacheBounds): CacheStore {
  // A Map keeps the order of insertion: whatever is used is inserted again, so the first is the one not used for longest.
  const entries = new Map<string, { readonly kept: Kept; readonly bytes: number }>()
  let bytesHeld = 0
  const remove = (key: string) => {
    bytesHeld -= entries.get(key)?.bytes ?? 0
    entries.delete(key)
  }
  return {
    get(key) {
      const found = entries.get(key)
      if (!found) return undefined
      entries.delete(key)
      entries.set(key, found)
      return found.kept
    },
    set(key, kept, bytes) {
      remove(key)
      if (bytes > bytesMax) return
      entries.set(key, { kept, bytes })
      bytesHeld += bytes
      for (const [oldest] of entries) {
        if (entries.size <= entriesMax && bytesHeld <= bytesMax) break
        remove(oldest)
      }
    },
    delete: remove,
    keys: () => [...entries.keys()],
  }
}
