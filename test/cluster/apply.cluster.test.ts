/**
 * Against the cluster of KUBECONFIG, whichever it is. Everything is applied as a dry run, into namespaces of a name of its
 * own, which are made for it and deleted again; nothing else is left or touched. On a cluster with nodes where the shop
 * runs, and with `PARLEY_EDGE` (the URL of its edge), an order is placed.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { toYaml } from '#cdk8s/yaml.ts'
import { messageOf } from '#cluster/answers.ts'
import { concurrently } from '#cluster/concurrently.ts'
import { type Connection, openConnection } from '#cluster/connection.ts'
import { discoverKinds, type Kinds, pathOf } from '#cluster/kinds.ts'
import { placeSmokeOrder } from '#cluster/smoke.ts'
import { programs, thisMachine } from '#local/toolchain/machine.ts'
import { shop } from '#mesh/shop.ts'
import { meshes } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { everything } from '../fixtures/everything.ts'
import { caseOf, type RenderedCase } from '../fixtures/rendered.ts'
import { analyzeSkips } from './lint-skips.ts'

const run = promisify(execFile)
const found = process.env.KUBECONFIG ? await connect() : null
const noCluster = 'KUBECONFIG names no cluster'
const mark = process.pid.toString(36)
const [istioctl] = programs(thisMachine(), 'istioctl')
const made: string[] = []

const cases = [shop, everything].flatMap((system) =>
  (['kind', 'production'] as const).flatMap((environment) =>
    meshes.map((mesh) => caseOf({ ...system, name: `try-${system.name}-${mark}` }, environment, mesh)),
  ),
)

beforeAll(async () => {
  if (found === null) return
  const namespaces = new Set(
    cases.flatMap(({ objects }) => objects.flatMap(({ metadata }) => metadata.namespace ?? [])),
  )
  for (const name of namespaces) await makeNamespace(found.connection, name)
}, 60_000)

afterAll(async () => {
  for (const name of made) {
    await found?.connection.request({ method: 'DELETE', path: `/api/v1/namespaces/${name}` })
  }
}, 60_000)

describe('a dry run on the server', () => {
  for (const rendered of cases) {
    const title = rendered.title.replace(`-${mark}`, '')
    const lacking = found === null ? noCluster : lackingKinds(found.kinds, rendered)
    const body = async (): Promise<void> => {
      if (found === null) throw new Error(noCluster)
      const { connection, kinds } = found
      const refused = await concurrently(rendered.objects, 8, (object) => refusalOf(connection, kinds, object))
      expect(refused.filter((text) => text !== null)).toEqual([])
    }
    if (lacking === null) test(`takes ${title}`, body, 120_000)
    else test.skip(`takes ${title} (${lacking})`, body)
  }
})

describe('istioctl analyze', () => {
  const why = istioctl === undefined ? 'no istioctl on the PATH' : null
  const istio = cases.filter(({ mesh }) => mesh === 'istio')
  for (const { title, objects } of istio) {
    const body = async (): Promise<void> => {
      const folder = mkdtempSync(join(tmpdir(), 'parley-analyze-'))
      try {
        const file = join(folder, 'all.yaml')
        writeFileSync(file, toYaml(objects))
        const args = ['analyze', '--use-kube=false', '--all-namespaces', '--output', 'json', file]
        const { stdout } = await run(istioctl ?? '', args).catch((error: { stdout: string }) => error)
        expect(
          JSON.parse(stdout || '[]')
            .filter(({ code }: { readonly code: string }) => analyzeSkips[code] === undefined)
            .map(oneLine),
        ).toEqual([])
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }
    if (why === null) test(`has nothing to say of ${title.replace(`-${mark}`, '')}`, body, 60_000)
    else test.skip(`has nothing to say of ${title.replace(`-${mark}`, '')} (${why})`, body)
  }
})

describe('where the shop runs', () => {
  const edge = process.env.PARLEY_EDGE
  const why =
    found === null ? noCluster : found.nodes === 0 ? 'the cluster has no nodes' : edge ? null : 'PARLEY_EDGE is not set'
  const body = async (): Promise<void> => {
    const { hostname, port, protocol } = new URL(edge ?? '')
    const defaultPort = protocol === 'https:' ? 443 : 80
    const smoke = await placeSmokeOrder({
      url: edge ?? '',
      address: hostname,
      port: port === '' ? defaultPort : Number(port),
      authority: null,
      say: () => {},
    })
    expect(smoke.orderId).not.toBe('')
  }
  if (why === null) test('an order is shipped', body, 180_000)
  else test.skip(`an order is shipped (${why})`, body)
})

type Found = { readonly connection: Connection; readonly kinds: Kinds; readonly nodes: number }

async function connect(): Promise<Found> {
  const connection = openConnection(undefined)
  const { body } = await connection.request({ method: 'GET', path: '/api/v1/nodes?limit=1' })
  const nodes = (body as { readonly items?: readonly unknown[] }).items?.length ?? 0
  return { connection, kinds: await discoverKinds(connection), nodes }
}

/** A cluster has the kinds of one mesh, not of all. */
function lackingKinds(kinds: Kinds, { objects }: RenderedCase): string | null {
  const lacking = objects.filter((object) => !kinds.of(object)).map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)
  return lacking.length === 0 ? null : `the cluster has no ${[...new Set(lacking)].join(', ')}`
}

async function makeNamespace(connection: Connection, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${name}`
  const { status } = await connection.request({ method: 'GET', path })
  if (status === 200) return
  made.push(name)
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
  const answer = await apply(connection, path, body, '')
  if (answer.status >= 300) throw new Error(`The namespace ${name} could not be made: ${messageOf(answer)}`)
}

async function refusalOf(connection: Connection, kinds: Kinds, object: Manifest): Promise<string | null> {
  const kind = kinds.of(object)
  if (!kind) return `${object.kind} is not known`
  const { name, namespace } = object.metadata
  const answer = await apply(connection, pathOf(kind, namespace, name), object, '&dryRun=All&fieldValidation=Strict')
  return answer.status < 300 ? null : `${object.kind} ${namespace ?? ''}/${name}: ${messageOf(answer)}`
}

function apply(connection: Connection, path: string, body: unknown, more: string) {
  return connection.request({
    method: 'PATCH',
    path: `${path}?fieldManager=parley-tests&force=true${more}`,
    contentType: 'application/apply-patch+yaml',
    body,
  })
}

function oneLine({ code, origin, message }: Readonly<Record<'code' | 'origin' | 'message', string>>): string {
  return `${code} ${origin}: ${message}`
}
