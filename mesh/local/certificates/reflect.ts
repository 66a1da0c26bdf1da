/**
 * The three functions of the metadata proposal that `@peculiar/x509`'s dependency injection looks for. Imported before
 * it; leaves a full implementation alone where there is one.
 */
const kept = new WeakMap<object, Map<unknown, unknown>>()

const metadata = {
  defineMetadata(key: unknown, value: unknown, target: object): void {
    const own = kept.get(target) ?? new Map<unknown, unknown>()
    kept.set(target, own.set(key, value))
  },
  getOwnMetadata(key: unknown, target: object): unknown {
    return kept.get(target)?.get(key)
  },
  getMetadata(key: unknown, target: object): unknown {
    for (let at: object | null = target; at; at = Reflect.getPrototypeOf(at)) {
      const own = kept.get(at)
      if (own?.has(key)) return own.get(key)
    }
    return undefined
  },
}

if (!('getMetadata' in Reflect)) Object.assign(Reflect, metadata)

export {}
