/** A product and how many of it. */
export type Line = { readonly productId: string; readonly quantity: number }

/** What came of a request to set lines aside. */
export type Reservation =
  | { readonly kind: 'reserved'; readonly lines: readonly Line[] }
  | { readonly kind: 'rejected'; readonly reason: string }

/** Lines with one entry a product, ordered by product, so that rows are always locked in one order. */
export function merged(lines: readonly Line[]): Line[] {
  const quantities = new Map<string, number>()
  for (const { productId, quantity } of lines) quantities.set(productId, (quantities.get(productId) ?? 0) + quantity)
  return [...quantities]
    .map(([productId, quantity]) => ({ productId, quantity }))
    .sort((a, b) => (a.productId < b.productId ? -1 : 1))
}

/** Whether all lines can be set aside: all of them, or none. `available` holds what is free of each known product. */
export function decideReservation(available: ReadonlyMap<string, number>, lines: readonly Line[]): Reservation {
  const wanted = merged(lines)
  const short = wanted.find(({ productId, quantity }) => (available.get(productId) ?? 0) < quantity)
  if (!short) return { kind: 'reserved', lines: wanted }
  const left = available.get(short.productId)
  const reason = left === undefined ? `unknown product ${short.productId}` : `only ${left} of ${short.productId} left`
  return { kind: 'rejected', reason }
}
