/** The little of SVG that a diagram needs. Whatever is not a number is escaped. */
import type { Point } from './layout.ts'

type Attributes = Readonly<Record<string, string | number>>

/** An element without content. */
export function element(name: string, attributes: Attributes): string {
  return `<${name}${written(attributes)}/>`
}

/** A line of text. */
export function text(content: string, attributes: Attributes): string {
  return `<text${written(attributes)}>${escaped(content)}</text>`
}

/** A text as XML shows it; what XML cannot hold at all, such as control characters, becomes a question mark. */
export function escaped(content: string): string {
  return content
    .toWellFormed()
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

/** A path through points whose corners are round. */
export function rounded(points: readonly Point[], radius: number): string {
  const apart = points.filter((point, index) => {
    const before = points[index - 1]
    return !before || Math.hypot(point.x - before.x, point.y - before.y) > 0.1
  })
  return apart
    .map((point, index) => {
      const [before, next] = [apart[index - 1], apart[index + 1]]
      if (!before) return `M${place(point)}`
      if (!next) return `L${place(point)}`
      return `L${place(towards(point, before, radius))}Q${place(point)} ${place(towards(point, next, radius))}`
    })
    .join('')
}

function towards(from: Point, to: Point, most: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y)
  const share = Math.min(most, length / 2) / length
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share }
}

function place({ x, y }: Point): string {
  return `${tidy(x)} ${tidy(y)}`
}

/** One decimal is less than a pixel; more would only make the text longer. */
function tidy(value: number): number {
  return Math.round(value * 10) / 10
}

function written(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${typeof value === 'number' ? tidy(value) : escaped(value)}"`)
    .join('')
}
