import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { Chart } from 'cdk8s'
import { ConfigMap } from 'cdk8s-plus-28'
import { parseAllDocuments } from 'yaml'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { meshes } from '#providers/cluster.ts'
import { rootDir } from '#test/sources.ts'
import { cdk8sApp } from './app.ts'
import { waves } from './component.ts'
import { filesOf } from './files.ts'
import { parseSettings } from './settings.ts'

const settings = parseSettings(
  readFileSync(join(rootDir, 'charts/settings/production.yaml'), 'utf8'),
  'production.yaml',
)
const plan = derive(shop, 'production')

test.each(meshes)('on %s the App synthesises the objects that are rendered without it, in the same waves', (mesh) => {
  const app = cdk8sApp(plan, mesh, settings)
  expect(app.charts.map(({ node }) => node.id)).toEqual(waves.map((wave, index) => `${index + 1}-${wave}`))
  const files = filesOf(plan, mesh, settings)
  for (const chart of app.charts) {
    const rendered = [...files]
      .filter(([path]) => path.startsWith(`${chart.node.id.slice(2)}/`))
      .flatMap(([, text]) => objectsIn(text))
    expect(byKey(chart.toJson())).toEqual(byKey(rendered))
  }
})

test('constructs of one’s own join the App', () => {
  const app = cdk8sApp(plan, 'istio', settings)
  const mine = new Chart(app, 'mine', { namespace: plan.namespace })
  new ConfigMap(mine, 'greeting', { data: { hello: 'world' } })
  mine.addDependency(...app.charts.filter(({ node }) => node.id === '1-policies'))
  expect(objectsIn(app.synthYaml())).toContainEqual(
    expect.objectContaining({ kind: 'ConfigMap', data: { hello: 'world' } }),
  )
})

function objectsIn(yaml: string): unknown[] {
  return parseAllDocuments(yaml).map((document) => document.toJS())
}

function byKey(objects: readonly unknown[]): Record<string, unknown> {
  const entries = objects.map((object) => {
    const { apiVersion, kind, metadata } = object as {
      apiVersion: string
      kind: string
      metadata: { namespace?: string; name: string }
    }
    return [`${apiVersion} ${kind} ${metadata.namespace ?? ''} ${metadata.name}`, object] as const
  })
  return Object.fromEntries(entries)
}
