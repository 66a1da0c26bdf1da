/** Every object of every system, environment and mesh against the schema that its API server would hold it against. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { toYaml } from '#cdk8s/yaml.ts'
import { meshes } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { everything } from '../fixtures/everything.ts'
import { caseOf, deliveryOf, objectsOf, type RenderedCase, renderedCases } from '../fixtures/rendered.ts'
import { type Crd, findCrds, readCrds } from '../tools/crds.ts'
import { type CustomResourceApi, startCustomResourceApi } from '../tools/custom-resource-api.ts'
import { missingNeeds, pathOf, testWith } from '../tools/need.ts'
import { judgeOf, unjudgedKinds } from './kinds.ts'

const run = promisify(execFile)
/** Each system's objects, some with what scales by lag, and what GitOps controllers are given beside them. */
const cases = [
  ...renderedCases(),
  ...meshes.map((mesh) => withKeda(caseOf(everything, 'production', mesh))),
  ...renderedCases()
    .filter(({ plan }) => plan.system === 'shop')
    .map((rendered) => ({ title: `GitOps ${rendered.title}`, objects: deliveryOf(rendered) })),
]
const all = cases.flatMap(({ objects }) => objects)

describe('Kubernetes’ own kinds, by kubeconform and the schemas of 1.34', () => {
  for (const { title, objects } of cases) {
    testWith(['kubeconform', 'kubernetes-schemas'], title, async () => {
      const own = judgedBy('kubernetes', objects)
      const { resources, summary } = await kubeconform(own)
      expect(resources).toEqual([])
      expect(summary).toMatchObject({ valid: own.length, invalid: 0, errors: 0, skipped: 0 })
    })
  }
})

describe('custom resources, strictly and with their CEL rules, by the API that serves them', () => {
  const needs = ['etcd', 'apiextensions-apiserver', 'kubernetes-schemas', 'crds'] as const
  let api: CustomResourceApi | null = null
  beforeAll(async () => {
    if (missingNeeds(needs) !== null) return
    const kinds = new Set(judgedBy('definition', all).map(kindOf))
    const used = crds().filter(({ group, kind }) => kinds.has(`${group}/${kind}`))
    api = await startCustomResourceApi({ etcd: pathOf('etcd'), server: pathOf('apiextensions-apiserver') }, [
      ...used,
      ...crds().filter(({ kind }) => kind === 'KafkaTopic' && !used.some((crd) => crd.kind === kind)),
    ])
  }, 180_000)
  afterAll(() => api?.stop())

  for (const { title, objects } of cases) {
    testWith(needs, title, async () => {
      const custom = judgedBy('definition', objects)
      expect(await api?.validate(custom)).toEqual([])
    })
  }

  testWith(needs, 'a field that a CRD lacks, a wrong type and a broken rule are each refused', async () => {
    const topic = (name: string, spec: object): Manifest => ({
      apiVersion: 'kafka.strimzi.io/v1',
      kind: 'KafkaTopic',
      metadata: { name, namespace: 'any', labels: { 'strimzi.io/cluster': 'any' } },
      spec,
    })
    const problems = await api?.validate([
      topic('right', { partitions: 3, replicas: 1 }),
      topic('unknown', { partitions: 3, replicas: 1, nope: 1 }),
      topic('typed', { partitions: '3', replicas: 1 }),
    ])
    expect(problems).toEqual([
      expect.stringContaining('unknown field "spec.nope"'),
      expect.stringContaining('spec.partitions'),
    ])
  })
})

describe('kinds', () => {
  testWith(['kubernetes-schemas', 'crds'], 'that nobody here can judge are listed, each with its reason', () => {
    const unjudged = judgedBy('nobody', all).map(kindOf)
    expect([...new Set(unjudged)].filter((kind) => !unjudgedKinds[kind])).toEqual([])
    expect(Object.keys(unjudgedKinds).filter((kind) => !unjudged.includes(kind))).toEqual([])
  })

  test('every case renders something', () => {
    expect(cases.filter(({ objects }) => objects.length === 0).map(({ title }) => title)).toEqual([])
  })
})

function withKeda({ title, plan, mesh, settings }: RenderedCase): Pick<RenderedCase, 'title' | 'objects'> {
  return { title: `${title} with KEDA`, objects: objectsOf(plan, mesh, { ...settings, keda: true }) }
}

let known: readonly Crd[] | null = null
function crds(): readonly Crd[] {
  const folder = findCrds()
  known ??= folder === null ? [] : readCrds(folder)
  return known
}

function judgedBy(judge: ReturnType<typeof judgeOf>, objects: readonly Manifest[]): readonly Manifest[] {
  return objects.filter((object) => judgeOf(object, pathOf('kubernetes-schemas'), crds()) === judge)
}

function kindOf({ apiVersion, kind }: Manifest): string {
  return `${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''}/${kind}`
}

type Verdict = {
  readonly resources: readonly { readonly kind: string; readonly name: string; readonly msg: string }[]
  readonly summary: Readonly<Record<'valid' | 'invalid' | 'errors' | 'skipped', number>>
}

async function kubeconform(objects: readonly Manifest[]): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-schemas-'))
  try {
    if (objects.length === 0) return { resources: [], summary: { valid: 0, invalid: 0, errors: 0, skipped: 0 } }
    const file = join(folder, 'all.yaml')
    writeFileSync(file, toYaml(objects))
    const schemas = join(pathOf('kubernetes-schemas'), '{{ .ResourceKind }}{{ .KindSuffix }}.json')
    const args = ['-strict', '-summary', '-output', 'json', '-schema-location', schemas, file]
    // It ends with 1 when something is invalid; what is, stands in its output.
    const { stdout } = await run(pathOf('kubeconform'), args).catch((error: { stdout: string }) => error)
    return JSON.parse(stdout) as Verdict
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
