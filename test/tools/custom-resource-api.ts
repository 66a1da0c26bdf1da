import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Authority, type Issued, issue, newAuthority } from '#local/certificates/authority.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { Crd } from './crds.ts'

/**
 * The part of a real Kubernetes API server that serves custom resources: schemas, CEL rules, defaulting, strict decoding.
 * It has no namespaces and no core kinds.
 */
export type CustomResourceApi = {
  /** Creates each object without keeping it, strictly, and gives what the server refuses: one line a refused object. */
  readonly validate: (objects: readonly Manifest[]) => Promise<readonly string[]>
  readonly stop: () => Promise<void>
}

const readyMsMax = 60_000
const concurrentMax = 12
const hourMs = 3_600_000
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

/** Starts the API with these definitions, on loopback ports that are free. `programs` are paths. */
export async function startCustomResourceApi(
  programs: { readonly etcd: string; readonly server: string },
  crds: readonly Crd[],
): Promise<CustomResourceApi> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-crd-'))
  const children: ChildProcess[] = []
  const stop = async (): Promise<void> => {
    for (const child of children.toReversed()) await end(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const [clients = 0, peers = 0, port = 0] = await freePorts(3)
    const identity = await writeIdentity(folder)
    children.push(startEtcd(programs.etcd, folder, clients, peers), startServer(programs.server, folder, clients, port))
    const client = clientOf(port, identity)
    await untilReady(client, children, folder)
    await load(client, crds)
    return { validate: (objects) => validateAll(client, crds, objects), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

type Client = (
  method: 'GET' | 'POST',
  path: string,
  body?: string,
  type?: string,
) => Promise<{ readonly status: number; readonly text: string }>

function startEtcd(program: string, folder: string, clients: number, peers: number): ChildProcess {
  const at = (port: number): string => `http://127.0.0.1:${port}`
  const args = [
    ['--data-dir', join(folder, 'etcd')],
    ['--listen-client-urls', at(clients)],
    ['--advertise-client-urls', at(clients)],
    ['--listen-peer-urls', at(peers)],
    ['--initial-advertise-peer-urls', at(peers)],
    ['--initial-cluster', `default=${at(peers)}`],
  ]
  // What it holds is gone with the test: nothing needs to reach the disk.
  return start(program, [...args.flat(), '--unsafe-no-fsync'], folder)
}

function startServer(program: string, folder: string, etcdPort: number, port: number): ChildProcess {
  const none = join(folder, 'none')
  writeFileSync(none, nowhere)
  const off = [
    'NamespaceLifecycle',
    'MutatingAdmissionWebhook',
    'ValidatingAdmissionWebhook',
    'ValidatingAdmissionPolicy',
    'MutatingAdmissionPolicy',
  ]
  return start(
    program,
    [
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(folder, 'certs')}`,
      `--client-ca-file=${join(folder, 'ca.crt')}`,
      '--authentication-skip-lookup',
      ...['authentication-kubeconfig', 'authorization-kubeconfig', 'kubeconfig'].map((flag) => `--${flag}=${none}`),
      `--disable-admission-plugins=${off.join(',')}`,
      '--enable-priority-and-fairness=false',
    ],
    folder,
  )
}

/** A kubeconfig that leads nowhere: there is no other API server to ask. */
const nowhere = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'none', user: {} }],
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
  'current-context': 'none',
})

function start(program: string, args: readonly string[], folder: string): ChildProcess {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const log = createWriteStream(join(folder, 'log'), { flags: 'a' })
  child.stdout?.pipe(log, { end: false })
  child.stderr?.pipe(log, { end: false })
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** The certificate's organisation makes its bearer the cluster's administrator. */
async function writeIdentity(folder: string): Promise<{ readonly authority: Authority; readonly issued: Issued }> {
  const authority = await newAuthority('tests', hourMs)
  const subject = { name: 'tests,O=system:masters', spiffe: null, dnsNames: ['tests'], addresses: [] }
  const issued = await issue(authority, subject, hourMs)
  writeFileSync(join(folder, 'ca.crt'), authority.cert)
  return { authority, issued }
}

function clientOf(port: number, { issued }: { readonly issued: Issued }): Client {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: concurrentMax,
    cert: issued.cert,
    key: issued.key,
    // The server made its own certificate a moment ago, and is our own child on loopback.
    rejectUnauthorized: false,
  })
  return (method, path, body, type = 'application/json') =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }
      const sent = request({ host: '127.0.0.1', port, method, path, headers, agent }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        response.on('error', reject)
      })
      sent.on('error', reject)
      sent.end(body)
    })
}

async function untilReady(client: Client, children: readonly ChildProcess[], folder: string): Promise<void> {
  const began = performance.now()
  for (;;) {
    // Its /readyz waits for Services to be watched, which nobody serves here.
    const { status } = await client('GET', definitions).catch(() => ({ status: 0 }))
    if (status === 200) return
    const gone = children.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
    if (gone || performance.now() - began > readyMsMax) {
      const words = readFileSync(join(folder, 'log'), 'utf8').split('\n').slice(-15).join('\n')
      throw new Error(`The custom-resource API did not start. Its last words:\n${words}`)
    }
    await setTimeout(100)
  }
}

async function load(client: Client, crds: readonly Crd[]): Promise<void> {
  await each(crds, async ({ kind, plural, group, yaml }) => {
    const { status, text } = await client('POST', definitions, yaml, 'application/yaml')
    if (status !== 201) throw new Error(`The CRD of ${kind} was refused: ${messageOf(text)}`)
    await untilEstablished(client, `${plural}.${group}`)
  })
}

async function untilEstablished(client: Client, name: string): Promise<void> {
  const began = performance.now()
  for (;;) {
    const { text } = await client('GET', `${definitions}/${name}`)
    const { status } = JSON.parse(text) as { status?: { conditions?: { type: string; status: string }[] } }
    if (status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True')) return
    if (performance.now() - began > readyMsMax) throw new Error(`The CRD ${name} was not established: ${text}`)
    await setTimeout(50)
  }
}

async function validateAll(
  client: Client,
  crds: readonly Crd[],
  objects: readonly Manifest[],
): Promise<readonly string[]> {
  const byKind = new Map(crds.map((crd) => [`${crd.group}/${crd.kind}`, crd]))
  const problems: (string | null)[] = []
  await each(objects, async (object, index) => {
    problems[index] = await validateOne(client, byKind, object)
  })
  return problems.filter((problem) => problem !== null)
}

async function validateOne(client: Client, crds: ReadonlyMap<string, Crd>, object: Manifest): Promise<string | null> {
  const { apiVersion, kind, metadata } = object
  const [group = ''] = apiVersion.split('/')
  const crd = crds.get(`${group}/${kind}`)
  const name = `${kind} ${metadata.namespace ?? ''}/${metadata.name}`
  if (!crd) return `${name}: no CRD of ${group}/${kind} was loaded`
  const place = crd.namespaced ? `namespaces/${metadata.namespace ?? ''}/` : ''
  const path = `/apis/${apiVersion}/${place}${crd.plural}?dryRun=All&fieldValidation=Strict`
  // A definition that was only just established may not be served for a moment yet.
  for (let attempt = 0; ; attempt++) {
    const { status, text } = await client('POST', path, JSON.stringify(object))
    if (status === 201) return null
    const isNew = (status === 404 || status === 429 || status === 503) && attempt < 60
    if (!isNew) return `${name}: ${messageOf(text)}`
    await setTimeout(100)
  }
}

/** Handles all items, a few at a time. */
async function each<T>(items: readonly T[], handle: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await handle(items[index] as T, index)
  }
  await Promise.all(Array.from({ length: concurrentMax }, work))
}

function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? text)
  } catch {
    return text
  }
}

/** Ports that were free a moment ago. All are held until the last is known, so that no two are the same. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
