import { laned } from './lanes.ts'
import type { Box, Point } from './layout.ts'
import { sizes } from './sizes.ts'

/** The way of an edge between two cards, without its ends. */
export type Route = {
  readonly from: string
  readonly to: string
  readonly points: readonly Point[]
}

/** Where a card stands, and the middle of the row that it stands in. */
export type Place = { readonly box: Box; readonly row: number }

type End = {
  readonly route: number
  readonly last: boolean
  readonly node: string
  readonly side: 'top' | 'bottom'
  readonly towardsX: number
}

type Port = { readonly point: Point; readonly side: End['side']; readonly row: number }

/**
 * Joins every route to its cards; `bands` are the heights of the rows by their middles. The edges of one side of a
 * card share it out in the order in which they leave, so that no two arrowheads meet.
 */
export function joinedRoutes(
  routes: readonly Route[],
  places: ReadonlyMap<string, Place>,
  bands: ReadonlyMap<number, number>,
): Point[][] {
  const ways = routes.map((route) => upright(route, places, bands))
  const ends = routes.flatMap((route, index) => endsOf(route, index, ways[index] ?? [], places))
  const ports = new Map(sides(ends).flatMap((side) => sharedOut(side, places)))
  const whole = ways.map((way, index) => [
    ...leaving(ports.get(`${index} first`), bands),
    ...way,
    ...leaving(ports.get(`${index} last`), bands).reverse(),
  ])
  return laned(whole)
}

/** Each row is passed from one of its edges to the other, in the direction of the edge. */
function upright(
  { from, to, points }: Route,
  places: ReadonlyMap<string, Place>,
  bands: ReadonlyMap<number, number>,
): Point[] {
  const down = (places.get(from)?.row ?? 0) <= (places.get(to)?.row ?? 0)
  return points.flatMap(({ x, y }) => {
    const half = (bands.get(Math.round(y)) ?? 0) / 2
    const [above, below] = [
      { x, y: y - half },
      { x, y: y + half },
    ]
    return down ? [above, below] : [below, above]
  })
}

/** From the side of a card, which may be lower than its row, to the edge of the row. */
function leaving(port: Port | undefined, bands: ReadonlyMap<number, number>): Point[] {
  if (!port) return []
  const half = (bands.get(Math.round(port.row)) ?? 0) / 2
  return [port.point, { x: port.point.x, y: port.side === 'top' ? port.row - half : port.row + half }]
}

function endsOf(route: Route, index: number, way: readonly Point[], places: ReadonlyMap<string, Place>): End[] {
  const [from, to] = [places.get(route.from), places.get(route.to)]
  if (!from || !to) return []
  const [first, last] = [way[0] ?? middleOf(to.box), way.at(-1) ?? middleOf(from.box)]
  const side = (place: Place, point: Point) => (point.y < place.row ? 'top' : 'bottom')
  return [
    { route: index, last: false, node: route.from, side: side(from, first), towardsX: first.x },
    { route: index, last: true, node: route.to, side: side(to, last), towardsX: last.x },
  ]
}

function sides(ends: readonly End[]): End[][] {
  const groups = new Map<string, End[]>()
  for (const end of ends) {
    const key = `${end.side} ${end.node}`
    groups.set(key, [...(groups.get(key) ?? []), end])
  }
  return [...groups.values()]
}

/** Each edge leaves where it runs straight if it can, and otherwise as near to that as its neighbours let it. */
function sharedOut(side: readonly End[], places: ReadonlyMap<string, Place>): [string, Port][] {
  const sorted = side.toSorted((a, b) => a.towardsX - b.towardsX || a.route - b.route)
  const place = places.get(sorted[0]?.node ?? '')
  if (!place) return []
  const { box, row } = place
  // Outlines are round or slanted at their ends.
  const inset = Math.min(box.height / 2, box.width / 5)
  const [left, right] = [box.x + inset, box.x + box.width - inset]
  const least = Math.min(sizes.port, (right - left) / sorted.length)
  const xs = sorted.map((end) => Math.max(left, Math.min(right, end.towardsX)))
  for (let at = 1; at < xs.length; at += 1) xs[at] = Math.max(xs[at] ?? 0, (xs[at - 1] ?? 0) + least)
  for (let at = xs.length - 1; at >= 0; at -= 1)
    xs[at] = Math.min(xs[at] ?? 0, at + 1 < xs.length ? (xs[at + 1] ?? 0) - least : right)
  return sorted.map((end, index) => {
    const point = { x: xs[index] ?? left, y: end.side === 'top' ? box.y : box.y + box.height }
    return [`${end.route} ${end.last ? 'last' : 'first'}`, { point, side: end.side, row }]
  })
}

function middleOf(box: Box): Point {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 }
}
