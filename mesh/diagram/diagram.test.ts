import { describe, expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { external, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes } from '#graph/topic.ts'
import { delivers, webhook } from '#graph/webhook.ts'
import { derive } from '#plan/derive.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { orderEvents } from '../shop/messages.ts'
import { shop } from '../shop.ts'
import { type Box, layoutOf } from './layout.ts'
import { mermaid } from './mermaid.ts'
import { duration, pictureOf } from './picture.ts'
import { svg } from './svg.ts'

const plan = derive(shop, 'production')
// Subscribers of webhooks are one together.
const outsideSystems = plan.externals.length + Math.min(plan.webhooks.length, 1)
const hook = webhook('order-hooks', orderEvents, [OrderPlacedSchema])
const hooks = service('hooks', { edges: [consumes(orderEvents, [OrderPlacedSchema]), delivers(hook)] })
const plans = [plan, derive(system('shop', { ...shop, services: [...shop.services, hooks] }), 'local')]

/** A plan of names that would break out of XML, of Mermaid, or of both. */
function hostile(name: string) {
  const api = rest(name, { [name]: 'GET /x' as const })
  const bank = external(name, { host: name, port: 443, expectedLatencyMs: 9, routes: {} })
  const callee = service(`${name}b`, { exposes: [api], owns: [postgres({ name })] })
  const caller = service(name, { edges: [calls(api, [name]), reaches(bank)] })
  return derive(
    system(name, { services: [caller, callee], exposures: [exposure(name, callee, api, { host: name })] }),
    'local',
  )
}

const names = [
  '</text><script>alert(1)</script>',
  '"|end\n  click n0 "javascript:x"',
  '<!--',
  ']]>&amp;',
  'a\u0000\ud800b',
  '',
]

describe('the layout', () => {
  test.each(plans.map((each) => [each.services.length, each] as const))(
    'of %d services overlaps nothing',
    (_, each) => {
      const { nodes, edges, zones } = layoutOf(pictureOf(each))
      const solid = [...nodes.map((node) => node.box), ...edges.flatMap((edge) => (edge.label ? [edge.label] : []))]
      expect(pairs(solid).filter(([a, b]) => overlap(a, b))).toEqual([])
      expect(pairs(zones.map((zone) => zone.box)).filter(([a, b]) => overlap(a, b))).toEqual([])
    },
  )

  test('keeps the outside above and below the mesh', () => {
    const { zones } = layoutOf(pictureOf(plan))
    const of = (kind: string) => zones.filter((zone) => zone.kind === kind).map((zone) => zone.box)
    const [mesh] = of('mesh')
    expect(of('outside').every((box) => mesh && box.y + box.height < mesh.y)).toBe(true)
    expect(of('external')).toHaveLength(outsideSystems)
    expect(of('external').every((box) => mesh && box.y > mesh.y + mesh.height)).toBe(true)
  })

  test('takes each line upright past the rows: every stretch is level or plumb', () => {
    const { edges } = layoutOf(pictureOf(plan))
    const slanted = edges.flatMap(({ points }) =>
      points.filter((point, at) => {
        const next = points[at + 1]
        return next && Math.abs(next.x - point.x) >= 0.5 && Math.abs(next.y - point.y) >= 0.5
      }),
    )
    expect(slanted).toEqual([])
  })
})

describe('the SVG', () => {
  test('is the same for the same plan, and needs nothing from elsewhere', () => {
    const drawn = svg(plan)
    expect(svg(derive(shop, 'production'))).toBe(drawn)
    expect(drawn.replace('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|url\((?!#)|href|<script|<image|@import/,
    )
    expect(drawn).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('shows services, stores, topics, queues, externals, ways in and policies', () => {
    const drawn = svg(plan)
    for (const shown of [
      'gateway ×2',
      'gRPC OrderService',
      'createOrder · 1 s · 2 attempts',
      'checkStock · 300 ms · 1 attempt · fallback',
      'breaker 5 → 30 s',
      '6 partitions by orderId',
      '10 deliveries, then dead letter',
      'bank.example:443',
      'Outside: mail',
      'PaymentDeclined',
    ]) {
      expect(drawn).toContain(`>${shown}<`)
    }
  })

  test.each(names)('holds the name %j', (name) => {
    const drawn = svg(hostile(name))
    expect(drawn).not.toContain('<script')
    expect(tagsLeftOpen(drawn)).toEqual([])
  })
})

describe('the Mermaid text', () => {
  test('has a frame a trust boundary, solid and dotted arrows, and policies', () => {
    const text = mermaid(plan)
    // Clients and the mesh, and each system outside.
    expect(text.match(/^ {2}subgraph /gm)).toHaveLength(2 + outsideSystems)
    expect(text.match(/^ {2}end$/gm)).toHaveLength(2 + outsideSystems)
    expect(text).toContain('-->|"checkStock · 300 ms · 1 attempt · fallback<br/>breaker 5 → 30 s"|')
    expect(text).toContain('-.->|"PaymentCaptured<br/>PaymentDeclined"|')
    expect(mermaid(derive(shop, 'production'))).toBe(text)
  })

  test.each(names)('holds the name %j', (name) => {
    const line =
      /^(flowchart TB| {2}subgraph z\d+ \["[^"<>]*"\]| {2,4}n\d+\W{1,2}"(?:[^"<>]|<br\/>)*"\W{1,2}| {2}n\d+ --- n\d+s\d+\[\("[^"<>]*"\)\]| {2}n\d+ (?:-->|-\.->)(?:\|"(?:[^"<>]|<br\/>)*"\|)? n\d+| {2}end| {2}class(?:Def)? .*|)$/
    const wrong = mermaid(hostile(name))
      .split('\n')
      .filter((each) => !line.test(each))
    expect(wrong).toEqual([])
  })
})

test.each([
  [999, '999 ms'],
  [1_000, '1 s'],
  [1_334, '1.33 s'],
  [120_000, '2 min'],
  [4 * 3_600_000, '4 h'],
  [7 * 86_400_000, '7 d'],
])('%d ms read as %s', (ms, text) => {
  expect(duration(ms)).toBe(text)
})

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((a, index) => items.slice(index + 1).map((b): [T, T] => [a, b]))
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

/** The names of elements that are not closed in their order. Enough of XML to see a name that breaks out. */
function tagsLeftOpen(xml: string): string[] {
  const open: string[] = []
  for (const [, closing, name = '', , selfClosed] of xml.matchAll(/<(\/?)([a-z]+)((?:\s[\w-]+="[^"<>]*")*)(\/?)>/g)) {
    if (closing) {
      if (open.pop() !== name) return [`</${name}>`]
    } else if (!selfClosed) open.push(name)
  }
  const outsideTags = xml.replace(/<\/?[a-z]+(?:\s[\w-]+="[^"<>]*")*\/?>/g, '').replace(/svg \{[\s\S]*?\n\n/, '')
  return [...open, ...(outsideTags.match(/[<>]/g) ?? [])]
}
