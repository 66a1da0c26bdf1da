/** Freezes plain data all the way down, so that nothing changes a plan after its derivation. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const inner of Object.values(value)) freeze(inner)
  return Object.freeze(value)
}

/** Sorts by a text in code-unit order, which unlike a locale's is the same on every machine. */
export function sortedBy<T>(items: readonly T[], text: (item: T) => string): T[] {
  return [...items].sort((a, b) => compareText(text(a), text(b)))
}

/** Compares two texts by their code units. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
