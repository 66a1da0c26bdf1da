import type { Plan } from '#plan/plan.ts'
import { type Picture, type PictureNode, pictureOf, type Zone } from './picture.ts'

/** A plan as a Mermaid flowchart: solid arrows are synchronous, dotted ones asynchronous, frames are trust boundaries. */
export function mermaid(plan: Plan): string {
  const picture = pictureOf(plan)
  const ids = new Map(picture.nodes.map((node, index) => [node.id, `n${index}`]))
  const edges = picture.edges.flatMap(({ from, to, kind, lines }) => {
    const [source, target] = [ids.get(from), ids.get(to)]
    if (!source || !target) return []
    const arrow = kind === 'sync' ? '-->' : '-.->'
    return [`  ${source} ${arrow}${lines.length > 0 ? `|${quoted(lines)}|` : ''} ${target}`]
  })
  return [
    'flowchart TB',
    ...picture.zones.flatMap((zone, index) => zoneLines(picture, zone, index, ids)),
    ...storeLines(picture, ids),
    ...edges,
    '  classDef boundary fill:none,stroke:#888,stroke-dasharray:6 4',
    ...picture.zones.map((_, index) => `  class z${index} boundary`),
    '',
  ].join('\n')
}

function zoneLines(picture: Picture, zone: Zone, index: number, ids: ReadonlyMap<string, string>): string[] {
  const inside = picture.nodes.filter((node) => node.zone === zone.id)
  return [
    `  subgraph z${index} [${quoted([zone.title])}]`,
    ...inside.map((node) => `    ${ids.get(node.id) ?? ''}${shape(node)}`),
    '  end',
  ]
}

function storeLines(picture: Picture, ids: ReadonlyMap<string, string>): string[] {
  return picture.nodes.flatMap((node) =>
    node.stores.map((store, index) => {
      const id = ids.get(node.id) ?? ''
      return `  ${id} --- ${id}s${index}[(${quoted([store])})]`
    }),
  )
}

function shape({ kind, title, lines }: PictureNode): string {
  const text = quoted([title, ...lines])
  switch (kind) {
    case 'client':
    case 'subscribers':
      return `([${text}])`
    case 'exposure':
      return `{{${text}}}`
    case 'service':
    case 'external':
      return `[${text}]`
    case 'topic':
      return `[/${text}/]`
    case 'queue':
      return `[[${text}]]`
  }
}

/** A text in which nothing is Mermaid's or HTML's own: every character that could be is written as its number. */
function quoted(lines: readonly string[]): string {
  const escaped = lines.map((line) =>
    line.replace(/[^\p{L}\p{N} .,:/·→×_-]/gu, (char) => `#${char.codePointAt(0) ?? 0};`),
  )
  return `"${escaped.join('<br/>')}"`
}
