/**
 * What the mesh adds to a call: the same grpc-js client and server, directly over a Unix socket and through two Envoys
 * with mutual TLS, taking turns in one run so that the machine's mood falls on both alike.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, credentials } from '@grpc/grpc-js'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { until } from '#kit/until-fixture.ts'
import { ensureCertificates } from '#local/certificates/certificates.ts'
import { type Layout, layoutOf } from '#local/layout.ts'
import { envoyCommand, sidecarFiles } from '#local/sidecar.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import { derive } from '#plan/derive.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { closedLoop, openLoop, quantile } from '../load.ts'
import { type Line, print } from '../report.ts'
import { checkStock } from './contract.ts'

const rounds = 4
const callsPerSecond = 200
const secondsARound = 4
const inFlight = 32
const clockTicksPerSecond = 100

type Hop = { readonly direct: Client; readonly meshed: Client; readonly proxies: readonly number[]; close(): void }

/** Measures the hop and prints it. */
async function main(): Promise<void> {
  const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => {} })
  const hop = await startHop(envoy)
  try {
    await openLoop({
      perSecond: callsPerSecond,
      seconds: 2,
      call: () => Promise.all([call(hop.direct), call(hop.meshed)]),
    })
    print('13 · Service mesh: a hop through two Envoys, mutual TLS, HTTP/2', [
      ...(await latencyLines(hop)),
      ...(await cpuLines(hop)),
    ])
  } finally {
    hop.close()
  }
}

async function latencyLines({ direct, meshed }: Hop): Promise<Line[]> {
  const figures: { direct: number[]; meshed: number[] } = { direct: [], meshed: [] }
  for (let round = 0; round < rounds; round++) {
    for (const [name, client] of Object.entries({ direct, meshed })) {
      const { latenciesMs, failures } = await openLoop({
        perSecond: callsPerSecond,
        seconds: secondsARound,
        call: () => call(client),
      })
      if (failures.length > 0) throw new Error(`${failures.length} calls failed: ${failures[0]}`)
      figures[name as keyof typeof figures].push(...latenciesMs)
    }
  }
  const added = (share: number) => quantile(figures.meshed, share) - quantile(figures.direct, share)
  return [
    { what: `direct, ${callsPerSecond} calls/s, p50`, measured: quantile(figures.direct, 0.5), unit: 'ms' },
    { what: `through the mesh, ${callsPerSecond} calls/s, p50`, measured: quantile(figures.meshed, 0.5), unit: 'ms' },
    { what: 'added at p50', measured: added(0.5), unit: 'ms', target: 1, claimed: '1–3 ms' },
    { what: 'added at p99', measured: added(0.99), unit: 'ms' },
    { what: 'ratio at p50', measured: quantile(figures.meshed, 0.5) / quantile(figures.direct, 0.5), unit: '×' },
  ]
}

async function cpuLines({ direct, meshed, proxies }: Hop): Promise<Line[]> {
  const plain = await closedLoop({ callers: inFlight, seconds: secondsARound, call: () => call(direct) })
  const before = proxies.map(cpuMs)
  const through = await closedLoop({ callers: inFlight, seconds: secondsARound, call: () => call(meshed) })
  const usedUs = proxies.map((pid, index) => ((cpuMs(pid) - (before[index] ?? 0)) * 1_000) / through.calls)
  const perSecond = (load: { calls: number; elapsedMs: number }) => (load.calls * 1_000) / load.elapsedMs
  return [
    { what: `direct, ${inFlight} in flight`, measured: perSecond(plain), unit: 'calls/s' },
    { what: `through the mesh, ${inFlight} in flight`, measured: perSecond(through), unit: 'calls/s' },
    ...['caller', 'callee'].map(
      (side, index): Line => ({
        what: `CPU of the ${side}'s proxy a call`,
        measured: usedUs[index] ?? Number.NaN,
        unit: 'µs',
        target: 60,
      }),
    ),
  ]
}

async function startHop(envoy: string): Promise<Hop> {
  const echo = service('echo', { exposes: [InventoryService] })
  const caller = service('caller', {
    edges: [calls(InventoryService, ['checkStock'], { limits: { concurrentMax: 1_000, pendingMax: 1_000 } })],
  })
  const plan = derive(system('hop', { services: [caller, echo] }), 'local')
  const stateDir = mkdtempSync('/tmp/parley-hop-')
  const layout = layoutOf(plan, { stateDir, subnet: '127.77.250', host: '127.77.250.1' })
  await ensureCertificates(plan, layout)
  for (const name of ['caller', 'echo']) await sidecarFiles(plan, layout, name)
  const appSocket = layout.services.echo?.appSocket ?? ''
  const server = spawn(process.execPath, [join(import.meta.dirname, 'echo.ts'), appSocket], { stdio: 'inherit' })
  const proxies = ['caller', 'echo'].map((name) => startEnvoy(envoyCommand(envoy, layout, name)))
  const outbound = layout.services.caller?.outboundSocket ?? ''
  await until(() => [appSocket, outbound].every((socket) => existsSync(socket)), 'the hop listens')
  const direct = new Client(`unix:${appSocket}`, credentials.createInsecure())
  const meshed = new Client(`unix:${outbound}`, credentials.createInsecure(), { 'grpc.default_authority': 'echo' })
  await reachable(meshed)
  return {
    direct,
    meshed,
    proxies: proxies.map(({ pid }) => pid ?? 0),
    close() {
      for (const client of [direct, meshed]) client.close()
      for (const process of [server, ...proxies]) process.kill()
      removeRun(layout, stateDir)
    },
  }
}

function startEnvoy([program = '', ...args]: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] })
}

function removeRun({ socketsDir }: Layout, stateDir: string): void {
  for (const folder of [socketsDir, stateDir]) rmSync(folder, { recursive: true, force: true })
}

function call(client: Client): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = checkStock
    const request = { lines: [{ productId: 'p-1', quantity: 2 }] }
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
      error ? reject(error) : resolve(answer),
    )
  })
}

async function reachable(client: Client): Promise<void> {
  let last: unknown
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      await call(client)
      return
    } catch (error) {
      last = error
      await sleep(100)
    }
  }
  throw new Error('The hop cannot be called', { cause: last })
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / clockTicksPerSecond
}

await main()
