import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeApiServer, startFakeApiServer } from '#mesh/cluster/api-server-fixture.ts'
import { projectDir } from './load.ts'

/** The commands on a cluster, as they are typed: what a wrong word, a missing tool or a bare cluster is answered with. */
let server: FakeApiServer
let programs: string
beforeAll(async () => {
  server = await startFakeApiServer('127.85.1.3')
  programs = mkdtempSync(join(tmpdir(), 'parley-programs-'))
  program('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
  program('kind', 'test "$1" = version && echo "kind v0.20.0 go1.20 linux/amd64"')
})
afterAll(async () => {
  await server.close()
  rmSync(programs, { recursive: true })
})

function program(name: string, script: string): void {
  writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(programs, name), 0o755)
}

type Said = { readonly code: number; readonly out: string; readonly err: string }

function parley(...args: string[]): Promise<Said> {
  const env = { ...process.env, NODE_OPTIONS: '', PATH: `${programs}${delimiter}${process.env.PATH}` }
  return new Promise((resolve) => {
    execFile(join(projectDir, 'bin/parley'), args, { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err })
    })
  })
}

test.each([
  [['apply', '--context', 'nowhere'], 'There is no context nowhere. There are: fake, kind-parley.'],
  [['apply', '--mesh', 'consul'], 'There is no mesh consul; there are istio, linkerd, none.'],
  [['apply', '--environment', 'local'], 'There is no cluster environment local; there are kind, production.'],
  [['up', '--target', 'kind', '--fresh'], '--fresh: only a local run has that'],
  [
    ['up', '--target', 'kind', '--system', join(projectDir, 'examples/hello/system.ts')],
    'which a cluster cannot run without an image',
  ],
])('%j is wrong use', async (args, message) => {
  const said = await parley(...args)
  expect(said.err).toContain(message)
  expect(said.code).toBe(2)
})

test('up on kind says everything that the machine lacks, and starts nothing', async () => {
  const { code, err } = await parley('up', '--target', 'kind')
  expect(code).toBe(3)
  expect(err).toContain('Docker does not answer: Cannot connect to the Docker daemon')
  expect(err).toContain('kind is 0.20.0; 0.27.0 or newer is needed')
  expect(err).toContain('Nothing was started.')
}, 20_000)

test('a cluster without the operators is left as it is, and each kind that it lacks is named', async () => {
  const { code, err } = await parley('apply', '--context', 'fake', '--environment', 'kind')
  expect(code).toBe(3)
  expect(err).toMatch(/does not know \d+ kinds.*\n {2}Cluster of postgresql\.cnpg\.io\/v1\n.*Nothing was applied/s)
  expect([...server.objects]).toEqual([])
})

test('production without a digest of its image is refused, with the file and the next step; a dry run says it', async () => {
  const settings = join(programs, 'production.yaml')
  const text =
    'image: { repository: registry.example/services, tag: "1" }\ngit: { url: https://git.example/x, revision: main }\n'
  writeFileSync(settings, `${text}clusterIssuer: letsencrypt\n`)
  const apply = ['apply', '--context', 'fake', '--environment', 'production', '--settings', settings]
  const refused = await parley(...apply)
  expect(refused.code).toBe(2)
  expect(refused.err).toMatch(/production\.yaml: image\.digest is null.*set the digest.*Nothing was applied/s)
  const tried = await parley(...apply, '--dry-run')
  expect(tried.err).toMatch(/image\.digest is null.*does not know \d+ kinds/s)
  expect(tried.err).toContain('not supported: exposure shop: a certificate of letsencrypt: it has no host')
})

test('status of a cluster where the system is not says how it gets there', async () => {
  const { code, out } = await parley('status', '--context', 'kind-parley')
  expect({ code, out }).toEqual({
    code: 3,
    out: 'shop is not on kind-parley. Apply it: bin/parley apply --context kind-parley\n',
  })
})

test('dead letters and sagas are asked of the pods there, and whom nobody could ask is named', async () => {
  const [list, saga] = await Promise.all([
    parley('dlq', 'list', '--context', 'kind-parley'),
    parley('saga', 'list', '--context', 'kind-parley'),
  ])
  expect(list.out).toMatch(/orders.*No pod of orders is ready on kind-parley/)
  expect(list.code).toBe(3)
  expect(saga.err).toContain('No pod of fulfilment is ready on kind-parley')
  expect(saga.code).toBe(3)
}, 30_000)

test('an API server that does not answer is named, with what to look at', async () => {
  const { KUBECONFIG: config = '' } = process.env
  writeFileSync(
    join(programs, 'config'),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'x',
      clusters: [{ name: 'c', cluster: { server: 'https://127.85.1.4:1' } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    }),
  )
  process.env.KUBECONFIG = join(programs, 'config')
  const { code, err } = await parley('status', '--context', 'x').finally(() => {
    process.env.KUBECONFIG = config
  })
  expect(code).toBe(3)
  expect(err).toContain('The API server https://127.85.1.4:1 does not answer')
}, 20_000)
