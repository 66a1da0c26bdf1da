import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { forwardPorts, type Inside } from './port-forward-fixture.ts'

/** What a request is answered with instead: an HTTP answer, or a connection that is cut before or after the server has done it. */
export type Fault =
  | { readonly status: number; readonly message: string; readonly retryAfter?: number; readonly reason?: string }
  | 'cut before'
  | 'cut after'

type Stored = Record<string, unknown> & { metadata: Record<string, unknown> & { name: string; namespace?: string } }

/** Just enough of an API server: discovery, server-side apply without fields' owners, lists by label, deletion. */
export type FakeApiServer = {
  readonly objects: Map<string, Stored>
  /** Every request as `METHOD path`, without its query. */
  readonly requests: string[]
  /** Asked for each request; undefined answers it as usual. */
  fault: (method: string, path: string) => Fault | undefined
  /** Gives an object its status before it is answered. */
  status: (object: Stored) => unknown
  inFlightMax(): number
  close(): Promise<void>
}

const kinds = [
  { group: '', version: 'v1', kind: 'Namespace', resource: 'namespaces', scope: 'Cluster' },
  { group: '', version: 'v1', kind: 'Node', resource: 'nodes', scope: 'Cluster' },
  { group: '', version: 'v1', kind: 'ConfigMap', resource: 'configmaps', scope: 'Namespaced' },
  { group: '', version: 'v1', kind: 'Pod', resource: 'pods', scope: 'Namespaced' },
  { group: '', version: 'v1', kind: 'Event', resource: 'events', scope: 'Namespaced' },
  { group: 'apps', version: 'v1', kind: 'Deployment', resource: 'deployments', scope: 'Namespaced' },
  { group: 'kafka.strimzi.io', version: 'v1', kind: 'KafkaTopic', resource: 'kafkatopics', scope: 'Namespaced' },
]

/** Starts one on a loopback address and points KUBECONFIG to it, as the contexts `fake` and `kind-parley`. `inside` is what its pods' forwarded ports lead to. */
export async function startFakeApiServer(address: string, inside?: Inside): Promise<FakeApiServer> {
  const fake = {
    objects: new Map<string, Stored>(),
    requests: [] as string[],
    fault: (() => undefined) as FakeApiServer['fault'],
    status: ((object) => object.status) as FakeApiServer['status'],
  }
  let inFlight = 0
  let inFlightMax = 0
  const server = createServer(async (request, response) => {
    inFlight += 1
    inFlightMax = Math.max(inFlightMax, inFlight)
    await answer(fake, request, response)
    inFlight -= 1
  })
  if (inside) forwardPorts(server, inside)
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  const folder = mkdtempSync(join(tmpdir(), 'parley-kubeconfig-'))
  const before = process.env.KUBECONFIG
  process.env.KUBECONFIG = join(folder, 'config')
  writeFileSync(process.env.KUBECONFIG, kubeconfig(`http://${address}:${(server.address() as AddressInfo).port}`))
  return Object.assign(fake, {
    inFlightMax: () => inFlightMax,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(folder, { recursive: true })
      if (before === undefined) delete process.env.KUBECONFIG
      else process.env.KUBECONFIG = before
    },
  })
}

function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 't' } }],
    contexts: ['fake', 'kind-parley'].map((name) => ({ name, context: { cluster: 'c', user: 'u' } })),
    'current-context': 'fake',
  })
}

type State = Pick<FakeApiServer, 'objects' | 'requests' | 'fault' | 'status'>

async function answer(fake: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://server')
  const method = request.method ?? ''
  fake.requests.push(`${method} ${pathname}`)
  const fault = fake.fault(method, pathname)
  // Long enough that requests sent together meet here.
  await sleep(2)
  if (fault === 'cut before') return void request.socket.destroy()
  const { status, body } =
    fault && fault !== 'cut after'
      ? { status: fault.status, body: { message: fault.message, ...(fault.reason && { reason: fault.reason }) } }
      : perform(fake, method, pathname, searchParams, Buffer.concat(chunks).toString())
  if (fault === 'cut after') return void request.socket.destroy()
  const retryAfter = fault && fault.retryAfter !== undefined ? { 'retry-after': String(fault.retryAfter) } : {}
  response.writeHead(status, { 'content-type': 'application/json', ...retryAfter }).end(JSON.stringify(body))
}

function perform(fake: State, method: string, path: string, query: URLSearchParams, text: string) {
  if (path === '/api' || path === '/apis') return { status: 200, body: discovery(path === '/api') }
  const found = fake.objects.get(path)
  switch (method) {
    case 'PATCH':
      return apply(fake, path, JSON.parse(text), found, query.has('dryRun'))
    case 'DELETE':
      fake.objects.delete(path)
      return { status: found ? 200 : 404, body: {} }
    default: {
      if (/\/(log|proxy)(\/|$)/.test(path)) return { status: 404, body: { message: 'not found' } }
      if (found) return { status: 200, body: shown(fake, found) }
      if (!isList(path)) return { status: 404, body: { message: 'not found' } }
      return { status: 200, body: { items: list(fake, path, query.get('labelSelector') ?? '') } }
    }
  }
}

function apply(fake: State, path: string, body: Stored, found: Stored | undefined, dryRun: boolean) {
  const { namespace } = body.metadata
  if (namespace && namespace !== 'default' && !fake.objects.has(`/api/v1/namespaces/${namespace}`)) {
    return { status: 404, body: { message: `namespaces "${namespace}" not found` } }
  }
  const changed =
    JSON.stringify({ ...body, metadata: null }) !== JSON.stringify({ ...found, metadata: null, status: body.status })
  const version = Number(found?.metadata.resourceVersion ?? 0) + (changed ? 1 : 0)
  const managedFields = [{ manager: 'parley', operation: 'Apply' }]
  const stored = {
    ...body,
    metadata: { ...body.metadata, resourceVersion: String(version), generation: version, managedFields },
  }
  if (!dryRun) fake.objects.set(path, stored)
  return { status: found ? 200 : 201, body: shown(fake, stored) }
}

function shown(fake: State, object: Stored): Stored {
  const status = fake.status(object)
  return status === undefined ? object : { ...object, status }
}

function isList(path: string): boolean {
  return kinds.some(({ resource }) => path.endsWith(`/${resource}`))
}

function list(fake: State, path: string, selector: string): readonly Stored[] {
  const [, base = '', namespace, resource = ''] = path.match(/^(.*?)(?:\/namespaces\/([^/]+))?\/([a-z]+)$/) ?? []
  const wanted = selector.split(',').filter((part) => part !== '')
  return [...fake.objects]
    .filter(([key]) => key.startsWith(`${base}/`) && key.split('/').at(-2) === resource)
    .map(([, object]) => shown(fake, object))
    .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
    .filter(({ metadata }) => {
      const labels = (metadata.labels ?? {}) as Readonly<Record<string, string>>
      return wanted.every((part) => labels[part.split('=')[0] ?? ''] === part.split('=')[1])
    })
}

function discovery(core: boolean) {
  const groups = Map.groupBy(
    kinds.filter(({ group }) => (group === '') === core),
    ({ group }) => group,
  )
  const verbs = ['create', 'delete', 'get', 'list', 'patch']
  return {
    kind: 'APIGroupDiscoveryList',
    items: [...groups].map(([group, members]) => ({
      metadata: { name: group },
      versions: [
        {
          version: 'v1',
          resources: members.map(({ resource, kind, scope }) => ({ resource, scope, responseKind: { kind }, verbs })),
        },
      ],
    })),
  }
}
