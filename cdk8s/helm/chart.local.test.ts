/** The chart against `render`: what Helm makes of it is what cdk8s makes, object by object. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import type { SystemNode } from '#graph/system.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { meshes, type Settings } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { everything } from '#test/fixtures/everything.ts'
import { settingsOf } from '#test/fixtures/rendered.ts'
import { pathOf, testWith } from '#test/tools/need.ts'
import { render } from '../render.ts'
import { chartFiles } from './chart.ts'
import { clusterEnvironments } from './variants.ts'

const plansOf = (system: SystemNode) => ({ kind: derive(system, 'kind'), production: derive(system, 'production') })
const defaults = settingsOf('production')

/** Settings to lay over those of the repository, by the plan that they are for. */
const sets: Readonly<Record<string, (plan: Plan) => Partial<Settings>>> = {
  'the settings of the repository': () => ({}),
  'nothing that is optional': () => ({
    ...{ imagePullSecrets: [], hosts: {}, replicas: {}, storageClass: null, clusterIssuer: null, nodePorts: null },
    ...{ keda: false, backup: null, apiServer: null },
  }),
  'everything that is optional': ({ services, exposures }) => ({
    image: { repository: 'registry.example:5000/a/b', tag: '1.10', digest: `sha256:${'ab'.repeat(32)}` },
    imagePullSecrets: ['one', 'two'],
    hosts: Object.fromEntries(exposures.map(({ name }, index) => [name, `h${index}.your-domain.example`])),
    replicas: Object.fromEntries(services.map(({ name }, index) => [name, 1 + index * 7])),
    storageClass: '1e3',
    clusterIssuer: 'true',
    nodePorts: { http: 30_001, https: 32_000 },
    keda: true,
    backup: {
      ...{ destination: 's3://bucket/folder', endpoint: 'https://objects.example:9000', secret: 'keys' },
      ...{ retention: '4w', schedule: '0 30 3 * * 1-5' },
    },
    apiServer: { cidrs: ['10.0.0.1/32', '2001:db8::/64'], port: 8443 },
  }),
  'one replica each, and a backup to the cloud’s own store': ({ services }) => ({
    replicas: Object.fromEntries(services.map(({ name }) => [name, 1])),
    backup: { destination: 's3://bucket', endpoint: null, secret: 'keys', retention: '30d', schedule: '0 0 2 * * *' },
    keda: true,
  }),
}

const systems = [shop, everything].map((system) => {
  const plans = plansOf(system)
  return { name: system.name, plans, files: chartFiles(plans, defaults, '0.1.0') }
})

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'chart-'))
  for (const { name, files } of systems) {
    for (const [path, text] of files) {
      const file = join(dir, name, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
  }
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('the chart', () => {
  testWith(['helm'], 'is clean to helm lint --strict', () => {
    for (const environment of clusterEnvironments) {
      const values = valuesFile({ environment, mesh: 'istio', ...chartValues(settingsOf(environment)) })
      const { status, stdout } = helm('lint', '--strict', join(dir, 'shop'), '--values', values)
      expect([status, stdout]).toEqual([0, expect.stringContaining('0 chart(s) failed')])
    }
  })

  describe.each(systems)('of $name', ({ name, plans }) => {
    const cases = clusterEnvironments.flatMap((environment) => meshes.map((mesh) => ({ environment, mesh })))
    for (const [title, change] of Object.entries(sets)) {
      testWith(['helm'], `has the objects of every environment and mesh with ${title}`, () => {
        for (const { environment, mesh } of cases) {
          const settings = { ...settingsOf(environment), git: defaults.git, ...change(plans[environment]) }
          const { stdout, stderr } = template(name, { environment, mesh, ...chartValues(settings) })
          expect(stderr).toBe('')
          const made = byName(parseAllDocuments(stdout, { version: '1.1' }).map((each) => each.toJS() as Manifest))
          const wanted = byName(render(plans[environment], mesh, settings).flatMap(({ objects }) => objects))
          expect(Object.keys(made)).toEqual(Object.keys(wanted))
          expect(made).toEqual(wanted)
        }
      })
    }
  })

  testWith(['helm'], 'refuses values that it does not know, and wrong ones', () => {
    const base = { environment: 'kind', mesh: 'istio', ...chartValues(defaults) }
    const refused = (change: object, words: string) =>
      expect(template('shop', { ...base, ...change })).toMatchObject({
        status: 1,
        stderr: expect.stringContaining(words),
      })
    refused({ colour: 'blue' }, 'colour')
    refused({ mesh: 'consul' }, 'mesh')
    refused({ storageClass: 'a"b' }, 'storageClass')
    refused({ hosts: { shop: 'a.example\nevil: true' } }, 'hosts')
    refused({ replicas: { orders: 0 } }, 'orders')
    refused({ replicas: { ordrs: 3 } }, 'ordrs')
    refused({ hosts: { nope: 'x.example' } }, 'nope')
    const production = { environment: 'production', image: { ...defaults.image, digest: null } }
    refused(production, 'image.digest is not set')
  })
})

test.each(systems)('the chart of $name is small enough for the Secret in which Helm keeps a release', ({ files }) => {
  const size = [...files.values()].reduce((sum, text) => sum + text.length, 0)
  // A release holds the chart and what it rendered to, compressed to about a tenth, in a Secret of 1 MiB.
  expect(size).toBeLessThan(2_000_000)
})

function chartValues({ git: _, ...settings }: Settings) {
  return settings
}

function template(name: string, values: object) {
  return helm('template', name, join(dir, name), '--kube-version', '1.34.0', '--values', valuesFile(values))
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
