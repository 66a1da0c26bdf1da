import { Graph, layout } from '@dagrejs/dagre'
import type { Picture, PictureEdge, PictureNode, Zone } from './picture.ts'
import { joinedRoutes } from './ports.ts'
import { sizes } from './sizes.ts'

/** A rectangle by its upper left corner. */
export type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

/** A place, in pixels from the upper left. */
export type Point = { readonly x: number; readonly y: number }

/** An edge with the points it passes and the middle of its label. */
export type LaidEdge = PictureEdge & { readonly points: readonly Point[]; readonly label: Box | null }

/** A picture with a place for everything. */
export type Laid = {
  readonly zones: readonly (Zone & { readonly box: Box })[]
  readonly nodes: readonly (PictureNode & { readonly box: Box })[]
  readonly edges: readonly LaidEdge[]
}

type Between = { readonly from: string; readonly to: string }

/** Lays a picture out from top to bottom, the outside above and below the mesh. Equal pictures give equal layouts. */
export function layoutOf(picture: Picture): Laid {
  let bounds: readonly Between[] = []
  let graph = arranged(picture, bounds)
  // What is outside has to stand beyond the mesh, which is known only once the mesh has been laid out.
  for (let tries = 0; tries < 4; tries += 1) {
    const more = trespasses(picture, graph)
    if (more.length === 0) break
    bounds = [...bounds, ...more]
    graph = arranged(picture, bounds)
  }
  return measured(picture, graph)
}

/** How wide a text is at most. Fonts differ: this errs on the wide side. */
export function textWidth(text: string, font: number): number {
  return Math.ceil([...text].reduce((sum, char) => sum + (/[mwMW@→]/.test(char) ? 0.86 : wide(char)), 0) * font)
}

function wide(char: string): number {
  return /[A-Z]/.test(char) ? 0.68 : /[iljt.,:·/ ]/.test(char) ? 0.36 : 0.57
}

/**
 * Tight trees and one side to keep to: lines go down beside what they are about. The library's own choice weighs all sides,
 * and with a dozen services leaves the half of the page to lines alone.
 */
const arrangement = { rankdir: 'TB', ranker: 'tight-tree', align: 'UR', nodesep: 24, ranksep: 64, edgesep: 16 } as const

function arranged(picture: Picture, bounds: readonly Between[]): Graph {
  const graph = new Graph({ multigraph: true })
  graph.setGraph(arrangement)
  for (const node of picture.nodes) graph.setNode(node.id, sizeOf(node, degree(picture, node.id)))
  picture.edges.forEach(({ from, to, kind, lines }, index) => {
    const width = Math.max(0, ...lines.map((line) => textWidth(line, sizes.labelFont))) + 12
    const height = lines.length * sizes.labelHeight + 6
    const label = lines.length > 0 ? { width, height, labelpos: 'c' as const } : {}
    graph.setEdge(from, to, { ...label, weight: kind === 'sync' ? 3 : 1, minlen: 1 }, String(index))
  })
  for (const { from, to } of bounds) graph.setEdge(from, to, { weight: 0, minlen: 1 }, 'bound')
  layout(graph)
  return graph
}

/** The parts of the mesh that stand beside or beyond something outside, each as an edge that keeps them apart. */
function trespasses(picture: Picture, graph: Graph): Between[] {
  const spans = picture.nodes.map((node) => ({ node, box: boxOf(graph, node.id) }))
  const inside = spans.filter(({ node }) => node.zone === 'mesh')
  return spans.flatMap(({ node, box }) => {
    if (node.zone === 'mesh') return []
    if (node.kind === 'client') {
      const beyond = inside.filter((other) => other.box.y <= box.y + box.height)
      return beyond.map((other) => ({ from: node.id, to: other.node.id }))
    }
    const beyond = inside.filter((other) => other.box.y + other.box.height >= box.y)
    return beyond.map((other) => ({ from: other.node.id, to: node.id }))
  })
}

function measured(picture: Picture, graph: Graph): Laid {
  const nodes = picture.nodes.map((node) => ({ ...node, box: cardOf(node, boxOf(graph, node.id)) }))
  const routes = picture.edges.map(({ from, to, lines }, index) => {
    const { points = [], x = 0, y = 0, width = 0, height = 0 } = graph.edge(from, to, String(index))
    const label = lines.length > 0 ? { x: x - width / 2, y: y - height / 2, width, height } : null
    return { from, to, points: points.slice(1, -1), label }
  })
  const joined = joinedRoutes(
    routes,
    new Map(nodes.map((node) => [node.id, { box: node.box, row: graph.node(node.id).y ?? 0 }])),
    bandsOf(picture, graph),
  )
  const edges = picture.edges.map(
    (edge, index): LaidEdge => ({ ...edge, points: joined[index] ?? [], label: routes[index]?.label ?? null }),
  )
  const zones = picture.zones.map((zone) => ({ ...zone, box: zoneBox(zone, nodes, edges) }))
  return { zones, nodes, edges }
}

/** The heights of the rows, by their middles. A line passes a row upright, so that it crosses nothing that stands there. */
function bandsOf(picture: Picture, graph: Graph): Map<number, number> {
  const rows = [
    ...picture.nodes.map((node) => graph.node(node.id)),
    ...picture.edges.map((edge, index) => graph.edge(edge.from, edge.to, String(index))),
  ]
  const bands = new Map<number, number>()
  for (const { y = 0, height = 0 } of rows) bands.set(Math.round(y), Math.max(height, bands.get(Math.round(y)) ?? 0))
  return bands
}

function degree(picture: Picture, id: string): number {
  return picture.edges.filter((edge) => edge.from === id || edge.to === id).length
}

function sizeOf(node: PictureNode, degree: number): { width: number; height: number } {
  const { padding, titleHeight, lineHeight, storeHeight } = sizes
  const widths = [
    textWidth(node.title, sizes.titleFont) * 1.08,
    ...node.lines.map((line) => textWidth(line, sizes.lineFont)),
    ...node.stores.map((store) => textWidth(store, sizes.lineFont) + 34),
  ]
  const around = framed(node) ? 2 * sizes.zonePadding : 0
  const head = framed(node) ? sizes.zoneTitle : 0
  const titleWidth = framed(node) ? textWidth(`Outside: ${node.title}`, sizes.zoneFont) + 24 : 0
  return {
    width: Math.max(96, degree * sizes.port, titleWidth, Math.ceil(Math.max(...widths)) + 2 * padding) + around,
    height:
      2 * padding + titleHeight + node.lines.length * lineHeight + node.stores.length * storeHeight + around + head,
  }
}

/** What is outside takes the place of its frame in the layout too. */
function framed(node: PictureNode): boolean {
  return node.zone !== 'mesh'
}

function cardOf(node: PictureNode, box: Box): Box {
  if (!framed(node)) return box
  const { zonePadding, zoneTitle } = sizes
  return {
    x: box.x + zonePadding,
    y: box.y + zonePadding + (node.kind === 'client' ? zoneTitle : 0),
    width: box.width - 2 * zonePadding,
    height: box.height - 2 * zonePadding - zoneTitle,
  }
}

function boxOf(graph: Graph, id: string): Box {
  const { x = 0, y = 0, width, height } = graph.node(id)
  return { x: x - width / 2, y: y - height / 2, width, height }
}

function zoneBox(zone: Zone, nodes: Laid['nodes'], edges: readonly LaidEdge[]): Box {
  const mine = nodes.filter((node) => node.zone === zone.id)
  const ids = new Set(mine.map((node) => node.id))
  const within = edges.filter((edge) => ids.has(edge.from) && ids.has(edge.to))
  const boxes = [
    ...mine.map((node) => node.box),
    ...within.flatMap((edge) => edge.points.map(({ x, y }) => ({ x, y, width: 0, height: 0 }))),
    ...within.flatMap((edge) => (edge.label ? [edge.label] : [])),
  ]
  const box = around(boxes)
  const { zonePadding, zoneTitle } = sizes
  // Twice the title, so that a lone line down the middle passes beside it.
  const width = Math.max(box.width, textWidth(zone.title, sizes.zoneFont) * (zone.kind === 'mesh' ? 2.4 : 1))
  return {
    x: box.x - zonePadding - (width - box.width) / 2,
    y: box.y - zonePadding - (zone.kind === 'external' ? 0 : zoneTitle),
    width: width + 2 * zonePadding,
    height: box.height + 2 * zonePadding + zoneTitle,
  }
}

/** The smallest box around all of them. */
export function around(boxes: readonly Box[]): Box {
  if (boxes.length === 0) return { x: 0, y: 0, width: 0, height: 0 }
  const x = Math.min(...boxes.map((box) => box.x))
  const y = Math.min(...boxes.map((box) => box.y))
  const right = Math.max(...boxes.map((box) => box.x + box.width))
  const bottom = Math.max(...boxes.map((box) => box.y + box.height))
  return { x, y, width: right - x, height: bottom - y }
}
