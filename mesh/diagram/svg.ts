import type { Plan } from '#plan/plan.ts'
import { around, type Box, type LaidEdge, layoutOf, type Point, textWidth } from './layout.ts'
import { legend, legendWidth } from './legend.ts'
import { type PictureNode, pictureOf, type Zone } from './picture.ts'
import { sizes } from './sizes.ts'
import { style } from './style.ts'
import { element, escaped, rounded, text } from './xml.ts'

type LaidZone = Zone & { readonly box: Box }

const margin = 24

/**
 * A plan as an SVG of its own: no script, no font and no image from elsewhere, light or dark as its reader prefers.
 * The same plan always gives the same text, and no name can break out of its place.
 */
export function svg(plan: Plan): string {
  const picture = pictureOf(plan)
  const { zones, nodes, edges } = layoutOf(picture)
  const drawn = around([...zones.map((zone) => zone.box), ...edges.flatMap((edge) => (edge.label ? [edge.label] : []))])
  const width = Math.max(drawn.width, legendWidth) + 2 * margin
  const frame = {
    x: drawn.x - (width - drawn.width) / 2,
    y: drawn.y - margin,
    width,
    height: drawn.height + 2 * margin,
  }
  const key = legend({ x: frame.x + margin, y: frame.y + frame.height })
  const height = Math.round(frame.height + key.height)
  const view = [frame.x, frame.y, frame.width, height].map(Math.round).join(' ')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${view}" width="${Math.round(frame.width)}" height="${height}" role="img">`,
    `<title>${escaped(picture.title)}</title>`,
    `<style>${style}</style>`,
    arrowheads,
    element('rect', { class: 'page', x: frame.x, y: frame.y, width: frame.width, height }),
    ...zones.map(zoneShape),
    ...edges.map(edgeLine),
    ...nodes.map(({ box, ...node }) => nodeShape(node, box)),
    ...edges.map(edgeLabel),
    ...zones.map(zoneTitle),
    key.content,
    '</svg>',
    '',
  ].join('\n')
}

const arrowheads = ['sync', 'async']
  .map(
    (kind) =>
      `<defs><marker id="to-${kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="head ${kind}" d="M0 0.8 L9.4 5 L0 9.2 z"/></marker></defs>`,
  )
  .join('\n')

function zoneShape({ kind, box }: LaidZone): string {
  return `<g class="zone ${kind}">${element('rect', { ...box, rx: 16 })}</g>`
}

/** Drawn over the edges, so that it can be read wherever one comes in. */
function zoneTitle({ kind, title, box }: LaidZone): string {
  const y = kind === 'external' ? box.y + box.height - 17 : box.y + 25
  const back = { x: box.x + sizes.zonePadding - 5, y: y - 14, width: textWidth(title, sizes.zoneFont) + 10, height: 20 }
  const caption = text(title, { x: box.x + sizes.zonePadding, y })
  return `<g class="zone-title ${kind}">${element('rect', { ...back, rx: 4 })}${caption}</g>`
}

function edgeLine({ kind, points }: LaidEdge): string {
  return element('path', { class: `edge ${kind}`, d: rounded(points, 9), 'marker-end': `url(#to-${kind})` })
}

function edgeLabel({ kind, lines, label }: LaidEdge): string {
  if (!label) return ''
  const middle = label.x + label.width / 2
  const rows = lines.map((line, index) =>
    text(line, { x: middle, y: label.y + 3 + (index + 0.75) * sizes.labelHeight, 'text-anchor': 'middle' }),
  )
  return `<g class="label ${kind}">${element('rect', { ...label, rx: 5 })}${rows.join('')}</g>`
}

function nodeShape(node: PictureNode, box: Box): string {
  const { padding, titleHeight, lineHeight, storeHeight } = sizes
  const middle = box.x + box.width / 2
  const top = box.y + padding
  const title = text(node.title, { class: 'title', x: middle, y: top + 16, 'text-anchor': 'middle' })
  const lines = node.lines.map((line, index) =>
    text(line, {
      class: 'line',
      x: middle,
      y: top + titleHeight + (index + 0.72) * lineHeight,
      'text-anchor': 'middle',
    }),
  )
  const below = top + titleHeight + node.lines.length * lineHeight
  const stores = node.stores.map((store, index) => storeShape(store, { x: middle, y: below + index * storeHeight }))
  return `<g class="node ${node.kind}">${outline(node.kind, box)}${title}${[...lines, ...stores].join('')}</g>`
}

/** The outline says what it is: a pipe for a topic, slots for a queue, a gate for an exposure, a card for the rest. */
function outline(kind: PictureNode['kind'], box: Box): string {
  const { x, y, width, height } = box
  switch (kind) {
    case 'topic':
      return element('rect', { class: 'shape', ...box, rx: height / 2 })
    case 'queue':
      return [
        element('rect', { class: 'shape', ...box, rx: 4 }),
        element('path', { class: 'slots', d: `M${x + 6} ${y}v${height}M${x + width - 6} ${y}v${height}` }),
      ].join('')
    case 'exposure':
      return element('path', {
        class: 'shape',
        d: `M${x + 10} ${y}H${x + width - 10}L${x + width} ${y + height / 2}L${x + width - 10} ${y + height}H${x + 10}L${x} ${y + height / 2}z`,
      })
    case 'client':
    case 'subscribers':
      return element('rect', { class: 'shape', ...box, rx: 26 })
    case 'service':
    case 'external':
      return element('rect', { class: 'shape', ...box, rx: 9 })
  }
}

/** A database, small, in the card of the service that it belongs to. */
function storeShape(name: string, { x, y }: Point): string {
  const [left, top] = [x - (name.length * 7 + 24) / 2, y + 7]
  const body = `M${left} ${top + 3}v11c0 4 14 4 14 0v-11`
  const lid = element('ellipse', { cx: left + 7, cy: top + 3, rx: 7, ry: 3 })
  return `<g class="store">${element('path', { d: body })}${lid}${text(name, { class: 'line', x: left + 22, y: top + 13 })}</g>`
}
