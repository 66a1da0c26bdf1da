import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { meshes, siteOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { needsOf, operatorsFor, parseOperators } from '../operators.ts'
import { render } from '../render.ts'
import { parseSettings } from '../settings.ts'
import { gitopsFiles } from './gitops.ts'

const cases = (['kind', 'production'] as const).flatMap((environment) => meshes.map((mesh) => ({ environment, mesh })))

describe.each(cases)('$environment, $mesh', ({ environment, mesh }) => {
  const settings = parseSettings(readFileSync(`charts/settings/${environment}.yaml`, 'utf8'), environment)
  const plan = derive(shop, environment)
  const components = render(plan, mesh, settings)
  const operators = operatorsFor(parseOperators(operatorTexts(), environment), mesh, needsOf(plan, settings))
  const files = gitopsFiles(siteOf(plan, mesh, settings), components, operators)
  const dir = `charts/rendered/${environment}/${mesh}`
  const of = (kind: string) => files.flatMap(({ objects }) => objects.filter((object) => object.kind === kind))
  const waves = [...new Set(components.map(({ wave }) => wave))]

  test('every folder that a controller is sent to has objects, and every file is reached once by each controller', () => {
    const folders = new Map<string, number>()
    const count = (path: string) => folders.set(path, (folders.get(path) ?? 0) + 1)
    for (const application of of('Application')) {
      const { source } = application.spec as { source: { path?: string } }
      if (source.path) count(source.path)
    }
    for (const { spec } of of('Kustomization')) count((spec as { path: string }).path.slice(2))
    const rendered = [...waves.map((wave) => `${dir}/${wave}`), ...files.map(({ path }) => `${dir}/${folderOf(path)}`)]
    const manifests = operators.operators.flatMap(({ source }) => (source.kind === 'manifests' ? [source.path] : []))
    const byHand = new Set([`${dir}/gitops/argocd`, `${dir}/gitops/flux`])
    const one = (path: string) => path.includes('/gitops/') && !path.endsWith('namespaces')
    const expected = [...new Set([...rendered, ...manifests])].filter((path) => !byHand.has(path)).sort()
    expect([...folders.keys()].sort()).toEqual(expected)
    for (const [path, times] of folders) expect([path, times]).toEqual([path, one(path) ? 1 : 2])
  })

  test('Flux has one chain: namespaces, operators by wave, the system by wave', () => {
    const chain = of('Kustomization').filter(({ metadata }) => metadata.name.startsWith('shop-'))
    const names = chain.map(({ metadata }) => metadata.name)
    expect(names.at(0)).toBe('shop-namespaces')
    expect(names.slice(-waves.length)).toEqual(waves.map((wave) => `shop-${wave}`))
    const after = chain.map(({ spec }) =>
      (spec as { dependsOn?: { name: string }[] }).dependsOn?.map(({ name }) => name),
    )
    expect(after).toEqual([undefined, ...names.slice(0, -1).map((name) => [name])])
    for (const { spec } of chain) expect(spec).toMatchObject({ wait: true, prune: true })
  })

  test('Argo CD has a project before the Applications that name it', () => {
    const projects = new Map(of('AppProject').map((project) => [project.metadata.name, waveOf(project)]))
    const applications = of('Application').map((application) => ({
      wave: waveOf(application),
      project: projects.get((application.spec as { project: string }).project) ?? Number.NaN,
    }))
    expect(applications.filter(({ wave, project }) => !(project < wave))).toEqual([])
  })

  test('Argo CD: namespaces first, then the operators in their waves, then the system in its', () => {
    const applications = of('Application').filter(({ metadata }) => metadata.name !== 'shop')
    const order = [...applications].sort((a, b) => waveOf(a) - waveOf(b)).map(({ metadata }) => metadata.name)
    const names = operators.operators.map(({ name }) => name)
    expect(order).toEqual(['shop-namespaces', ...names, ...waves.map((wave) => `shop-${wave}`)])
    for (const { spec } of applications) {
      expect(spec).toMatchObject({ syncPolicy: { automated: { prune: true, selfHeal: true } } })
    }
  })

  test('the project of the system admits exactly the kinds and namespaces that it has', () => {
    const project = of('AppProject').find(({ metadata }) => metadata.name === 'shop')?.spec as Project
    const admitted = [...project.clusterResourceWhitelist, ...project.namespaceResourceWhitelist]
    const kinds = components.flatMap(({ objects }) =>
      objects.map(({ apiVersion, kind }) => `${groupOf(apiVersion)}/${kind}`),
    )
    expect(admitted.map(({ group, kind }) => `${group}/${kind}`).sort()).toEqual([...new Set(kinds)].sort())
    const namespaces = components.flatMap(({ objects }) => objects.map(({ metadata }) => metadata.namespace ?? 'shop'))
    expect(project.destinations.map(({ namespace }) => namespace).sort()).toEqual([...new Set(namespaces)].sort())
  })

  test('no object is in two files, and no controller fights another over one', () => {
    const all = [...components.flatMap(({ objects }) => objects), ...files.flatMap(({ objects }) => objects)].map(
      ({ apiVersion, kind, metadata }) => `${groupOf(apiVersion)}/${kind} ${metadata.namespace ?? ''}/${metadata.name}`,
    )
    expect(all.filter((name, index) => all.indexOf(name) !== index)).toEqual([])
  })

  test('secrets are referenced, never rendered', () => {
    const objects = [...components, ...files].flatMap((each) => each.objects)
    expect(
      objects.filter((object) => object.kind === 'Secret' && ('data' in object || 'stringData' in object)),
    ).toEqual([])
    expect(objects.flatMap((object) => secretsIn(object, `${object.kind} ${object.metadata.name}`))).toEqual([])
  })
})

/** Argo CD takes an object without one for wave 0. */
function waveOf({ metadata }: Manifest): number {
  return Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0)
}

type Project = {
  readonly destinations: readonly { readonly namespace: string }[]
  readonly clusterResourceWhitelist: readonly Kind[]
  readonly namespaceResourceWhitelist: readonly Kind[]
}
type Kind = { readonly group: string; readonly kind: string }

/** Fields whose name says that they hold a secret, with a text in them, and texts that look like one. */
function secretsIn(value: unknown, path: string): readonly string[] {
  if (typeof value === 'string')
    return /-----BEGIN [A-Z ]*PRIVATE KEY|:\/\/[^/\s:@]+:[^/\s@]+@/.test(value) ? [path] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, field]) =>
    typeof field === 'string' && field !== '' && /passw(or)?d$|token$|secretkey$|privatekey$/i.test(key)
      ? [`${path}.${key}`]
      : secretsIn(field, `${path}.${key}`),
  )
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
}

function operatorTexts(): Record<string, string> {
  const dir = 'charts/operators'
  const values = readdirSync(`${dir}/values`).map((name) => `values/${name}`)
  return Object.fromEntries(['operators.yaml', ...values].map((name) => [name, readFileSync(join(dir, name), 'utf8')]))
}
