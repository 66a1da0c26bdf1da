/** Remembers what follows from a value, such as a system's graph, which many rules ask for. The value must never change. */
export function remembered<K extends object, T>(derive: (value: K) => T): (value: K) => T {
  const known = new WeakMap<K, T>()
  return (value) => {
    const found = known.get(value)
    if (found !== undefined) return found
    const made = derive(value)
    known.set(value, made)
    return made
  }
}
