/** The chart against `render`: what Helm makes of it is what cdk8s makes, object by object. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { meshes, type Settings } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { pathOf, testWith } from '#test/tools/need.ts'
import { render } from '../render.ts'
import { parseSettings } from '../settings.ts'
import { chartFiles } from './chart.ts'
import { clusterEnvironments } from './variants.ts'

const plans = { kind: derive(shop, 'kind'), production: derive(shop, 'production') }
const settingsOf = (environment: string) =>
  parseSettings(readFileSync(`charts/settings/${environment}.yaml`, 'utf8'), environment)
const defaults = settingsOf('production')

const sets: Readonly<Record<string, Partial<Settings>>> = {
  'the settings of the repository': {},
  'nothing that is optional': {
    ...{ imagePullSecrets: [], hosts: {}, replicas: {}, storageClass: null, clusterIssuer: null, nodePorts: null },
    ...{ keda: false, backup: null },
  },
  'everything that is optional': {
    image: { repository: 'registry.example:5000/a/b', tag: '1.10', digest: `sha256:${'ab'.repeat(32)}` },
    imagePullSecrets: ['one', 'two'],
    hosts: { shop: 'shop.your-domain.example' },
    replicas: { orders: 7, payments: 1, gateway: 1, notifications: 40 },
    storageClass: '1e3',
    clusterIssuer: 'true',
    nodePorts: { http: 30_001, https: 32_000 },
    keda: true,
    backup: {
      ...{ destination: 's3://bucket/folder', endpoint: 'https://objects.example:9000', secret: 'keys' },
      ...{ retention: '4w', schedule: '0 30 3 * * 1-5' },
    },
  },
  'one replica each, and a backup to the cloud’s own store': {
    replicas: Object.fromEntries(shop.services.map(({ name }) => [name, 1])),
    backup: { destination: 's3://bucket', endpoint: null, secret: 'keys', retention: '30d', schedule: '0 0 2 * * *' },
    keda: true,
  },
  'three replicas each': { replicas: Object.fromEntries(shop.services.map(({ name }) => [name, 3])) },
}

let dir: string
const files = chartFiles(plans, defaults, '0.1.0')
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'chart-'))
  for (const [path, text] of files) {
    const file = join(dir, 'shop', path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('the chart of the shop', () => {
  testWith(['helm'], 'is clean to helm lint --strict', () => {
    for (const environment of clusterEnvironments) {
      const values = valuesFile({ environment, mesh: 'istio', ...chartValues(settingsOf(environment)) })
      const { status, stdout } = helm('lint', '--strict', join(dir, 'shop'), '--values', values)
      expect([status, stdout]).toEqual([0, expect.stringContaining('0 chart(s) failed')])
    }
  })

  describe.each(Object.entries(sets))('with %s', (_, change) => {
    const cases = clusterEnvironments.flatMap((environment) => meshes.map((mesh) => ({ environment, mesh })))
    for (const { environment, mesh } of cases) {
      testWith(['helm'], `has the objects of ${environment} and ${mesh}`, () => {
        const settings = { ...settingsOf(environment), ...change }
        const { stdout, stderr } = template({ environment, mesh, ...chartValues(settings) })
        expect(stderr).toBe('')
        const made = byName(
          parseAllDocuments(stdout, { version: '1.1' }).map((document) => document.toJS() as Manifest),
        )
        const wanted = byName(render(plans[environment], mesh, settings).flatMap(({ objects }) => objects))
        expect(Object.keys(made)).toEqual(Object.keys(wanted))
        expect(made).toEqual(wanted)
      })
    }
  })

  testWith(['helm'], 'refuses values that it does not know, and wrong ones', () => {
    const base = { environment: 'kind', mesh: 'istio', ...chartValues(defaults) }
    const refused = (change: object, words: string) =>
      expect(template({ ...base, ...change })).toMatchObject({ status: 1, stderr: expect.stringContaining(words) })
    refused({ colour: 'blue' }, 'colour')
    refused({ mesh: 'consul' }, 'mesh')
    refused({ storageClass: 'a"b' }, 'storageClass')
    refused({ hosts: { shop: 'a.example\nevil: true' } }, 'hosts')
    refused({ replicas: { orders: 0 } }, 'orders')
  })
})

test('the chart is small enough for the Secret in which Helm keeps a release', () => {
  const size = [...files.values()].reduce((sum, text) => sum + text.length, 0)
  // A release holds the chart and what it rendered to, compressed to about a tenth, in a Secret of 1 MiB.
  expect(size).toBeLessThan(2_000_000)
})

function chartValues({ git: _, ...settings }: Settings) {
  return settings
}

function template(values: object) {
  return helm('template', 'shop', join(dir, 'shop'), '--kube-version', '1.34.0', '--values', valuesFile(values))
}

function valuesFile(values: object): string {
  const file = join(dir, 'values.json')
  writeFileSync(file, JSON.stringify(values))
  return file
}

function helm(...args: readonly string[]) {
  return spawnSync(pathOf('helm'), args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
}

function byName(objects: readonly Manifest[]): Readonly<Record<string, unknown>> {
  const entries = objects.map((object) => {
    const { apiVersion, kind, metadata } = object
    const name = `${apiVersion} ${kind} ${metadata.namespace ?? ''} ${metadata.name}`
    return [name, JSON.parse(JSON.stringify(object)) as unknown] as const
  })
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))
}
