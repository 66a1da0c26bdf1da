import { writeFileSync } from 'node:fs'
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Operators } from '#cdk8s/operators.ts'
import { type FakeApiServer, startFakeApiServer } from './api-server-fixture.ts'
import { type Runner, runProgram, type Said } from './command.ts'
import { openConnection } from './connection.ts'
import { deliverImage } from './image.ts'
import { ensureKind, type KindCluster, kindExists } from './kind.ts'
import { parseKindConfig } from './kind-config.ts'
import { installOperators } from './operators.ts'
import { waitDefaults } from './wait.ts'

/** What is asked of docker, kind, helm and kubectl, and in which order. */
let server: FakeApiServer
let calls: string[]
let notes: string[]
beforeEach(async () => {
  await server?.close()
  server = await startFakeApiServer('127.85.1.2')
  calls = []
  notes = []
})
afterAll(async () => server.close())

const text = 'name: parley\nnodes: [{}, {}]\n'
const cluster: KindCluster = { file: 'kind-config.yaml', text, config: parseKindConfig(text) }

/** Answers by the beginning of the command; everything else succeeds in silence. */
function programs(answers: Readonly<Record<string, string | (() => Said)>>): Runner {
  return async (program, args, options) => {
    const command = `${program} ${args.join(' ')}`
    calls.push(options?.input === undefined ? command : `${command} < ${options.input}`)
    const [, answer = ''] = Object.entries(answers).find(([start]) => command.startsWith(start)) ?? []
    return typeof answer === 'string' ? { code: 0, stdout: answer, stderr: '' } : answer()
  }
}

const options = (run: Runner) => ({ run, say: (note: string) => void notes.push(note), onLine: () => {} })

function node(name: string, ready = true): void {
  const status = { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] }
  server.objects.set(`/api/v1/nodes/${name}`, { metadata: { name }, status })
}

const exited = 'docker ps --all --filter label=io.x-k8s.kind.cluster=parley --filter status=exited'

/** kube-system is there on every cluster. */
function kubeSystem(): void {
  server.objects.set('/api/v1/namespaces/kube-system', { metadata: { name: 'kube-system' } })
}

describe('the cluster', () => {
  test('is made where there is none, and taken as it is the next time', async () => {
    kubeSystem()
    await ensureKind(cluster, options(programs({})))
    expect(calls).toContain('kind create cluster --config kind-config.yaml --wait 180s')
    calls = []
    node('a')
    node('b')
    const there = { 'kind get clusters': 'other\nparley\n', [exited]: '', 'docker ps --all': 'a\nb\n' }
    await ensureKind(cluster, options(programs(there)))
    expect(calls.filter((call) => /create|delete|start/.test(call))).toEqual([])
    expect(notes).toEqual([])
    await ensureKind({ ...cluster, text: `${text}# changed` }, options(programs(there)))
    expect(notes).toEqual([expect.stringContaining('kind-config.yaml has changed since parley was made')])
  })

  test('that an interruption left with too few nodes is made anew, which is said', async () => {
    kubeSystem()
    node('a')
    await ensureKind(cluster, options(programs({ 'kind get clusters': 'parley\n', 'docker ps --all': 'a\n' })))
    const done = calls.filter((call) => /create|delete/.test(call)).map((call) => call.split(' ')[1])
    expect(done).toEqual(['delete', 'create'])
    expect(notes).toEqual([expect.stringContaining('half made')])
  })

  test('whose nodes stopped with the machine is started', async () => {
    kubeSystem()
    const run = programs({
      'kind get clusters': 'parley\n',
      [exited]: 'b\n',
      'docker ps --all': 'a\nb\n',
      'docker start': () => {
        node('a')
        node('b')
        return { code: 0, stdout: '', stderr: '' }
      },
    })
    await ensureKind(cluster, options(run))
    expect(calls).toContain('docker start b')
    expect(calls.some((call) => call.includes('create'))).toBe(false)
  })

  test('that kind cannot make: its last lines, and that running it again continues', async () => {
    const run = programs({
      'kind create': () => ({ code: 1, stdout: '', stderr: 'Creating cluster\nERROR: failed to pull image' }),
    })
    await expect(ensureKind(cluster, options(run))).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringMatching(/ended with 1:\n.*\n {2}\| ERROR: failed to pull image\n.*run it again/),
    })
  })

  test('that others have is not ours', async () => {
    expect(await kindExists(cluster, { run: programs({ 'kind get clusters': 'parley-2\n' }) })).toBe(false)
  })
})

test('the image is tagged by what it contains, so that equal sources restart no pod', async () => {
  const run: Runner = async (program, args, given) => {
    calls.push(`${program} ${args.slice(0, 3).join(' ')}`)
    const file = args[args.indexOf('--iidfile') + 1]
    if (args[0] === 'build' && file) writeFileSync(file, 'sha256:0123456789abcdef\n')
    expect(given?.signal).toBeUndefined()
    return { code: 0, stdout: '', stderr: '' }
  }
  const image = { repository: 'parley/services', tag: 'dev', digest: null }
  const request = { run, rootDir: '.', system: 'mesh/shop.ts', image, cluster: 'parley', onLine: () => {} }
  expect(await deliverImage(request)).toEqual({ ...image, tag: '0123456789ab' })
  expect(calls.slice(1)).toEqual([
    'docker tag sha256:0123456789abcdef parley/services:0123456789ab',
    'kind load docker-image parley/services:0123456789ab',
  ])
})

test('a program that has run for too long is not waited for, nor is what it started', async () => {
  const { code, stdout, stderr } = await runProgram('sh', ['-c', 'sleep 30 & echo $!; wait'], { timeoutMs: 1_000 })
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: expect.stringMatching(/^[1-9]\d+\n$/),
    stderr: 'ended by SIGTERM\n',
  })
  process.kill(Number(stdout), 'SIGKILL')
})

describe('operators', () => {
  const chart = { kind: 'chart', repository: 'oci://r.example/charts', chart: 'c', version: '1.2.3' } as const
  const operator = { app: '1', namespace: 'ops', meshes: [], for: [], crds: ['kafka.strimzi.io'] } as const
  const operators: Operators = {
    namespaces: [{ name: 'ops', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' }, annotations: {} }],
    operators: [
      { ...operator, name: 'second', wave: 1, ready: [], source: { kind: 'manifests', path: 'charts/m' } },
      { ...operator, name: 'first', wave: 0, ready: [], source: { ...chart, values: { a: 1 } } },
    ],
  }
  const install = (run: Runner) =>
    installOperators(openConnection('fake'), { run, rootDir: '.', operators, wait: waitDefaults, report: () => {} })
  const helm = (status: string, values: object) => ({
    'helm status': JSON.stringify({ info: { status }, config: values }),
    'helm list': JSON.stringify([{ chart: 'c-1.2.3' }]),
  })
  const changing = () => calls.filter((call) => /^(helm (upgrade|uninstall|rollback)|kubectl)/.test(call))

  test('are installed wave by wave, with their values and namespaces', async () => {
    await install(programs({ 'helm status': () => ({ code: 1, stdout: '', stderr: 'not found' }) }))
    expect(server.objects.get('/api/v1/namespaces/ops')?.metadata.labels).toEqual(operators.namespaces[0]?.labels)
    expect(changing()).toEqual([
      'helm upgrade --install first oci://r.example/charts/c --kube-context fake --namespace ops --version 1.2.3 --values - < {"a":1}',
      'kubectl --context fake apply --server-side --force-conflicts --field-manager parley-operators --kustomize charts/m',
    ])
  })

  test('that are installed as they should be are left alone; other values are not', async () => {
    await install(programs(helm('deployed', { a: 1 })))
    expect(changing().filter((call) => call.startsWith('helm'))).toEqual([])
    await install(programs(helm('deployed', { a: 2 })))
    expect(changing().filter((call) => call.startsWith('helm'))).toHaveLength(1)
  })

  test.each([
    ['pending-install', 'uninstall'],
    ['pending-upgrade', 'rollback'],
  ])('that an interruption left %s are unlocked by %s first', async (status, undo) => {
    await install(programs(helm(status, { a: 1 })))
    expect(changing()[0]).toBe(`helm ${undo} first --kube-context fake --namespace ops`)
    expect(changing()[1]).toMatch(/^helm upgrade --install first/)
  })
})
