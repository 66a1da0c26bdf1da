/** A small system with real sidecars, and applications whose answers a test decides. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { external, externalTcp, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import { type SystemNode, system } from '#graph/system.ts'
import { ensureCertificates } from '#local/certificates/certificates.ts'
import { type Layout, layoutOf } from '#local/layout.ts'
import { envoyCommand, sidecarFiles } from '#local/sidecar.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import type { Case } from './cases.ts'

const catalogApi = rest('catalog-api', { product: 'GET /products/{id}', remove: 'DELETE /products/{id}' })
const ghostApi = rest('ghost-api', { haunt: 'GET /haunt' })
const frontApi = rest('front-api', { place: 'POST /api/v1/orders', read: 'GET /api/v1/orders/{id}' })
const standIn = { start: module('none.ts') }
const bank = external('bank', {
  host: 'bank.example',
  port: 443,
  expectedLatencyMs: 900,
  routes: { charge: 'PUT /charges/{id}' },
  standIn,
})
const mail = externalTcp('mail', { host: 'mail.example', port: 587, expectedLatencyMs: 900, standIn })

const inventory = service('inventory', { exposes: [InventoryService] })
const orders = service('orders', { exposes: [OrderService], rateLimit: { perSecond: 40, burst: 40 } })
const catalog = service('catalog', { exposes: [catalogApi] })
const ghost = service('ghost', { exposes: [ghostApi] })
const mallory = service('mallory', {})
const front = service('front', {
  exposes: [frontApi],
  edges: [
    calls(InventoryService, ['checkStock'], {
      deadlineMs: 3_000,
      retry: { attempts: 3, perTryTimeoutMs: 600, backoff: { baseMs: 5, maxMs: 20 } },
      breaker: { failures: 10_000, openMs: 1_000 },
    }),
    calls(OrderService, ['createOrder'], {
      deadlineMs: 400,
      breaker: { failures: 5, openMs: 1_000 },
      limits: { concurrentMax: 4, pendingMax: 4 },
    }),
    calls(catalogApi, ['product'], { deadlineMs: 500 }),
    calls(ghostApi, ['haunt'], { breaker: { failures: 5, openMs: 30_000 } }),
    reaches(bank),
    reaches(mail),
  ],
})

/** `ghost` is declared and never started; `mallory` has an identity and no edge. */
const bedSystem = system('mesh-test', {
  services: [front, inventory, orders, catalog, ghost, mallory],
  exposures: [
    exposure('shop', front, frontApi, {
      rateLimit: { perSecond: 20, burst: 20, perClient: { perSecond: 15, burst: 15 } },
      bodyBytesMax: 1_024,
    }),
  ],
})

const withSidecar = ['front', 'inventory', 'orders', 'catalog']

/** The running sidecars of the system, and where everything is. */
export type Testbed = {
  readonly plan: Plan
  readonly layout: Layout
  /** Of the sidecars. */
  readonly pids: readonly number[]
  readonly stop: () => Promise<void>
}

/** Starts one Envoy a service in a loopback network of its own, and waits until each is ready. */
export function startTestbed(envoy: string): Promise<Testbed> {
  return startSidecars(envoy, bedSystem, withSidecar, `127.86.${process.pid % 250}`)
}

/** The same for some services of any system. */
export async function startSidecars(
  envoy: string,
  of: SystemNode,
  withSidecar: readonly string[],
  subnet: string,
): Promise<Testbed> {
  const stateDir = await mkdtemp(join(tmpdir(), 'mesh-'))
  const plan = derive(of, 'local')
  const layout = layoutOf(plan, { stateDir, subnet, host: `${subnet}.1` })
  await ensureCertificates(plan, layout)
  await Promise.all(withSidecar.map((name) => sidecarFiles(plan, layout, name)))
  const children = withSidecar.map((name) => start(envoyCommand(envoy, layout, name)))
  const stop = async () => {
    await Promise.all(children.map(end))
    await rm(stateDir, { recursive: true, force: true })
  }
  return started({ plan, layout, pids: children.map(({ pid }) => pid ?? 0), stop }, withSidecar)
}

/** Starts the sidecar of one service of a plan, with nobody else there. */
export async function startAlone(envoy: string, one: Case): Promise<Testbed> {
  const stateDir = await mkdtemp(join(tmpdir(), 'mesh-'))
  const subnet = `127.85.${process.pid % 250}`
  const layout = layoutOf(one.plan, { stateDir, subnet, host: `${subnet}.1` })
  await ensureCertificates(one.plan, layout)
  await sidecarFiles(one.plan, layout, one.service, one.faults)
  const child = start(envoyCommand(envoy, layout, one.service))
  const stop = async () => {
    await end(child)
    await rm(stateDir, { recursive: true, force: true })
  }
  return started({ plan: one.plan, layout, pids: [child.pid ?? 0], stop }, [one.service])
}

async function started(bed: Testbed, services: readonly string[]): Promise<Testbed> {
  try {
    await Promise.all(services.map((name) => ready(bed.layout.services[name]?.envoyAdminSocket ?? '')))
    return bed
  } catch (error) {
    await bed.stop()
    throw error
  }
}

/** What a sidecar's counters of one name sum up to. */
export async function counter(layout: Layout, service: string, name: string): Promise<number> {
  const text = await administration(layout, service, `/stats?filter=${encodeURIComponent(name)}`)
  return text.split('\n').reduce((sum, line) => sum + Number(line.split(': ')[1] ?? 0), 0)
}

/** One page of a sidecar's administration. */
export function administration(layout: Layout, service: string, path: string): Promise<string> {
  return get(layout.services[service]?.envoyAdminSocket ?? '', path)
}

function start([command = '', ...args]: readonly string[]): ChildProcess {
  return spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

async function ready(socketPath: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await get(socketPath, '/ready').catch(() => '')
    if (answer.startsWith('LIVE')) return
    await sleep(50)
  }
  throw new Error(`the sidecar with the socket ${socketPath} is not ready after 10 s`)
}

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })
}
