/** What holds for whatever is rendered: the same twice, as little as possible on a change, and never anything but YAML of what was meant. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseAllDocuments } from 'yaml'
import { filesOf } from '#cdk8s/files.ts'
import { checkSystem } from '#checks/check.ts'
import type { CallEdge } from '#graph/call.ts'
import type { SystemNode } from '#graph/system.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { meshes } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { everything } from '../fixtures/everything.ts'
import { objectsOf, renderedCases, settingsOf } from '../fixtures/rendered.ts'
import { systems } from '../fixtures/systems.ts'
import { structuralProblems } from './structure.ts'

const settings = settingsOf('production')

describe('the same', () => {
  test.each(meshes)('twice, and in whatever order a system is declared: %s', (mesh) => {
    const render = (system: SystemNode): string => text(filesOf(derive(system, 'production'), mesh, settings))
    for (const system of [shop, everything]) {
      const turned = {
        ...system,
        services: system.services.toReversed(),
        exposures: system.exposures.toReversed(),
        sagas: system.sagas.toReversed(),
      }
      expect(render(system)).toBe(render(system))
      expect(render(turned)).toBe(render(system))
    }
  })
})

describe('a changed deadline', () => {
  test.each(meshes)('changes its own lines, at the two ends of the edge alone: %s', (mesh) => {
    const before = filesOf(derive(shop, 'production'), mesh, settings)
    const after = filesOf(derive(withDeadline(shop, 'gateway', 'getOrder', 600), 'production'), mesh, settings)
    expect([...after.keys()]).toEqual([...before.keys()])
    const changed = [...after].filter(([path, content]) => content !== before.get(path))
    for (const [path] of changed) expect(path).toMatch(/\/(gateway|orders)\.yaml$/)
    const lines = changed.flatMap(([path, content]) => changedLines(before.get(path) ?? '', content))
    expect(lines.length).toBeLessThanOrEqual(4)
    for (const line of lines) expect(line).toMatch(/0\.[56]s|[56]00(ms)?\b/)
    // Without a mesh the caller's own clock holds it, which is in its code.
    if (mesh !== 'none') expect(lines.length).toBeGreaterThan(0)
  })
})

describe('the structure', () => {
  test.each(renderedCases())('of $title is sound', ({ objects }) => {
    expect(structuralProblems(objects)).toEqual([])
  })

  test.each(meshes)('of any valid declaration is sound, and no text of it becomes anything else: %s', (mesh) => {
    let valid = 0
    fc.assert(
      fc.property(systems, fc.constantFrom('kind', 'production'), (system, environment) => {
        fc.pre(checkSystem(system).findings.length === 0)
        valid += 1
        const plan = derive(system, environment as 'kind' | 'production')
        const own = settingsOf(environment as 'kind' | 'production')
        const objects = objectsOf(plan, mesh, own)
        expect(structuralProblems(objects)).toEqual([])
        expect(sorted(readBack(filesOf(plan, mesh, own)))).toEqual(sorted(objects))
      }),
      { numRuns: 40, maxSkipsPerRun: 200 },
    )
    expect(valid).toBeGreaterThan(20)
  })

  test('problems are seen', () => {
    const metadata = { name: 'a', namespace: 'b', labels: { app: 'x'.repeat(64) } }
    const one = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'a.b', namespace: 'b' },
      spec: { x: Number.NaN },
    }
    const two = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: [undefined] }
    expect(structuralProblems([one, two, two])).toHaveLength(7)
  })
})

function withDeadline(system: SystemNode, from: string, method: string, deadlineMs: number): SystemNode {
  const isIt = (edge: { readonly kind: string }): edge is CallEdge =>
    edge.kind === 'calls' && (edge as CallEdge).methods.includes(method)
  const services = system.services.map((node) =>
    node.name === from
      ? {
          ...node,
          spec: {
            ...node.spec,
            edges: node.spec.edges?.map((edge) =>
              isIt(edge) ? { ...edge, policy: { ...edge.policy, deadlineMs } } : edge,
            ),
          },
        }
      : node,
  )
  return { ...system, services } as SystemNode
}

function changedLines(before: string, after: string): readonly string[] {
  const old = before.split('\n')
  const now = after.split('\n')
  // Nothing is added or removed, so lines can be held against each other one by one.
  expect(now.length).toBe(old.length)
  return now.filter((line, index) => line !== old[index])
}

function readBack(files: ReadonlyMap<string, string>): readonly Manifest[] {
  return [...files]
    .filter(([path]) => path.endsWith('.yaml') && !/kustomization\.yaml$/.test(path))
    .flatMap(([, content]) =>
      parseAllDocuments(content, { merge: false }).map((document) => document.toJS() as Manifest),
    )
}

function sorted(objects: readonly Manifest[]): readonly string[] {
  return objects.map((object) => JSON.stringify(object)).sort()
}

function text(files: ReadonlyMap<string, string>): string {
  return JSON.stringify([...files])
}
