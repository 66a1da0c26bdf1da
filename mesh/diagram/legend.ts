import { type Point, textWidth } from './layout.ts'
import { sizes } from './sizes.ts'
import { element, text } from './xml.ts'

const gap = 26
const height = 46

/** What the lines and outlines mean, in one row from a point on, with the height that it takes. */
export function legend({ x, y }: Point): { content: string; height: number } {
  const middle = y + 6
  const entries = samples.map(({ width, draw, says }, index) => {
    const left = x + samples.slice(0, index).reduce((sum, sample) => sum + widthOf(sample) + gap, 0)
    return `${draw(left, middle)}${text(says, { x: left + width + 8, y: middle + 4 })}`
  })
  return { content: `<g class="legend">${entries.join('')}</g>`, height }
}

function widthOf({ width, says }: Sample): number {
  return width + 8 + textWidth(says, sizes.labelFont)
}

type Sample = { readonly width: number; readonly draw: (x: number, y: number) => string; readonly says: string }

const samples: readonly Sample[] = [
  { width: 40, draw: line('sync'), says: 'waits: deadline · attempts, breaker' },
  { width: 40, draw: line('async'), says: 'does not wait: events, tasks' },
  { width: 26, draw: box('topic', 8), says: 'topic' },
  { width: 26, draw: box('queue', 2), says: 'queue' },
  { width: 26, draw: box('exposure', 0), says: 'way in' },
  { width: 26, draw: frame, says: 'trust boundary' },
]

/** The width of the row, in pixels. */
export const legendWidth = samples.reduce((sum, sample) => sum + widthOf(sample) + gap, -gap)

function line(kind: 'sync' | 'async') {
  return (x: number, y: number) =>
    element('path', { class: `edge ${kind}`, d: `M${x} ${y}h38`, 'marker-end': `url(#to-${kind})` })
}

function box(kind: string, rx: number) {
  return (x: number, y: number) =>
    `<g class="${kind}">${element('rect', { class: 'shape', x, y: y - 8, width: 26, height: 16, rx })}</g>`
}

function frame(x: number, y: number): string {
  return `<g class="zone">${element('rect', { x, y: y - 8, width: 26, height: 16, rx: 4 })}</g>`
}
