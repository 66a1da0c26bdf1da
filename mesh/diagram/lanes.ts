import type { Point } from './layout.ts'

/** A stretch of an edge from one row to the next: where it leaves the upper row, and where it enters the lower one. */
type Stretch = { readonly way: number; readonly at: number; readonly upper: Point; readonly lower: Point }

/**
 * Turns every slanted stretch between two rows into a vertical, a horizontal and a vertical one. Horizontals that would
 * lie on one another get lanes of their own, in the order that crosses least.
 */
export function laned(ways: readonly (readonly Point[])[]): Point[][] {
  const bends = new Map<string, number>()
  for (const gap of gapsOf(ways)) {
    const order = leastCrossing(gap)
    const lanes = lanesOf(order)
    const count = Math.max(...lanes) + 1
    order.forEach(({ way, at, upper, lower }, index) => {
      // The outer fifths stay free, so that arrowheads have a stem.
      const share = 0.2 + (0.6 * ((lanes[index] ?? 0) + 0.5)) / count
      bends.set(`${way} ${at}`, upper.y + (lower.y - upper.y) * share)
    })
  }
  return ways.map((way, index) =>
    way.flatMap((point, at) => {
      const [next, bend] = [way[at + 1], bends.get(`${index} ${at}`)]
      return next && bend !== undefined ? [point, { x: point.x, y: bend }, { x: next.x, y: bend }] : [point]
    }),
  )
}

/** The slanted stretches, those between the same two rows together. */
function gapsOf(ways: readonly (readonly Point[])[]): Stretch[][] {
  const gaps = new Map<string, Stretch[]>()
  ways.forEach((points, way) => {
    points.forEach((point, at) => {
      const next = points[at + 1]
      if (!next || Math.abs(next.x - point.x) < 0.5) return
      const [upper, lower] = point.y <= next.y ? [point, next] : [next, point]
      const key = `${Math.round(upper.y)} ${Math.round(lower.y)}`
      gaps.set(key, [...(gaps.get(key) ?? []), { way, at, upper, lower }])
    })
  })
  return [...gaps.values()]
}

/** Each stretch in turn goes where it crosses least of those that already have a place. */
function leastCrossing(gap: readonly Stretch[]): Stretch[] {
  return gap.reduce<Stretch[]>((order, stretch) => {
    const costs = Array.from({ length: order.length + 1 }, (_, place) =>
      order.reduce(
        (sum, other, index) => sum + (index < place ? crossings(other, stretch) : crossings(stretch, other)),
        0,
      ),
    )
    return order.toSpliced(costs.indexOf(Math.min(...costs)), 0, stretch)
  }, [])
}

/** How often two stretches cross when the first has the higher lane. */
function crossings(higher: Stretch, lower: Stretch): number {
  return Number(spans(lower, higher.lower.x)) + Number(spans(higher, lower.upper.x))
}

/** The lowest lane that is below all that a stretch could lie on. */
function lanesOf(order: readonly Stretch[]): number[] {
  const lanes: number[] = []
  order.forEach((stretch, index) => {
    const above = order.slice(0, index).map((other, place) => (overlap(stretch, other) ? (lanes[place] ?? 0) + 1 : 0))
    lanes.push(Math.max(0, ...above))
  })
  return lanes
}

function overlap(a: Stretch, b: Stretch): boolean {
  const [[fromA, toA], [fromB, toB]] = [range(a), range(b)]
  return fromA <= toB + 12 && fromB <= toA + 12
}

function spans(stretch: Stretch, x: number): boolean {
  const [from, to] = range(stretch)
  return from < x && x < to
}

function range({ upper, lower }: Stretch): [number, number] {
  return [Math.min(upper.x, lower.x), Math.max(upper.x, lower.x)]
}
