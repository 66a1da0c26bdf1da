/**
 * REST and gRPC on the same work: an order of ten lines is sent, and comes back with prices. The kit's own clients and servers,
 * one process each, directly over a Unix socket and through two Envoys with mutual TLS, taking turns in one run. Both check their
 * input: REST by the schema of its body, gRPC by its types.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import { client } from '#kit/grpc/client.ts'
import { restClient } from '#kit/http/client.ts'
import { until } from '#kit/until-fixture.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import { CreateOrderResponseSchema, OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { startSidecars } from '#providers/envoy/testdata/testbed.ts'
import { end } from '../child.ts'
import { closedLoop, openLoop, quantile } from '../load.ts'
import { type Line, print } from '../report.ts'
import { answered, ordersApi, plain, wanted } from './order.ts'

const rounds = 3
const callsPerSecond = 200
const secondsARound = 3
const inFlight = 32
const serialised = 20_000

const policy = { deadlineMs: 10_000, limits: { concurrentMax: 1_000, pendingMax: 1_000 } } as const
const grpcOrders = service('grpc-orders', { exposes: [OrderService] })
const restOrders = service('rest-orders', { exposes: [ordersApi] })
const caller = service('caller', {
  edges: [calls(OrderService, ['createOrder'], policy), calls(ordersApi, ['createOrder'], policy)],
})
const of = system('rest', { services: [caller, grpcOrders, restOrders] })

type Call = () => Promise<unknown>
type Way = { readonly how: string; readonly rest: Call; readonly grpc: Call }

async function main(): Promise<void> {
  const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => {} })
  const bed = await startSidecars(envoy, of, ['caller', grpcOrders.name, restOrders.name], '127.77.248')
  const socketOf = (name: string) => bed.layout.services[name]?.appSocket ?? ''
  const sockets = { grpc: socketOf(grpcOrders.name), rest: socketOf(restOrders.name) }
  const server = spawn(process.execPath, [join(import.meta.dirname, 'server.ts'), sockets.grpc, sockets.rest], {
    stdio: 'inherit',
  })
  try {
    const outbound = bed.layout.services.caller?.outboundSocket ?? ''
    const ways = [
      await wayOver('directly', sockets.grpc, sockets.rest),
      await wayOver('through the mesh', outbound, outbound),
    ]
    print('1, 2 · REST and gRPC unary: an order of ten lines there and back', [
      ...(await latencyLines(ways)),
      ...(await rateLines(ways)),
      ...serialisingLines(),
    ])
  } finally {
    await end(server)
    await bed.stop()
  }
}

async function latencyLines(ways: readonly Way[]): Promise<Line[]> {
  const calls = ways.flatMap(({ how, rest, grpc }) => [
    { what: `REST, ${how}`, call: rest, claimed: '10–100 ms', latenciesMs: [] as number[] },
    { what: `gRPC, ${how}`, call: grpc, claimed: '1–20 ms', latenciesMs: [] as number[] },
  ])
  for (const { call } of calls) await openLoop({ perSecond: callsPerSecond, seconds: 2, call })
  for (let round = 0; round < rounds; round += 1) {
    for (const { call, latenciesMs } of calls) {
      const load = await openLoop({ perSecond: callsPerSecond, seconds: secondsARound, call })
      if (load.failures.length > 0) throw new Error(`${load.failures.length} calls failed: ${load.failures[0]}`)
      latenciesMs.push(...load.latenciesMs)
    }
  }
  const at = (index: number, share: number) => quantile(calls[index]?.latenciesMs ?? [], share)
  return [
    ...calls.flatMap(({ what, claimed }, index): Line[] => [
      { what: `${what}, ${callsPerSecond}/s, p50`, measured: at(index, 0.5), unit: 'ms', claimed },
      { what: `${what}, ${callsPerSecond}/s, p99`, measured: at(index, 0.99), unit: 'ms' },
    ]),
    ...ways.map(
      ({ how }, index): Line => ({
        what: `REST / gRPC at p50, ${how}`,
        measured: at(2 * index, 0.5) / at(2 * index + 1, 0.5),
        ...{ unit: '×', claimed: '2–7 ×' },
      }),
    ),
  ]
}

async function rateLines(ways: readonly Way[]): Promise<Line[]> {
  const lines: Line[] = []
  for (const { how, rest, grpc } of ways) {
    const best = { rest: 0, grpc: 0 }
    for (let round = 0; round < rounds; round += 1) {
      best.rest = Math.max(best.rest, await rateOf(rest))
      best.grpc = Math.max(best.grpc, await rateOf(grpc))
    }
    const note = `best of ${rounds}`
    lines.push(
      {
        what: `REST, ${how}, ${inFlight} in flight`,
        measured: best.rest,
        unit: 'calls/s',
        claimed: '2–4 K rps',
        note,
      },
      {
        what: `gRPC, ${how}, ${inFlight} in flight`,
        measured: best.grpc,
        unit: 'calls/s',
        claimed: '7–9 K rps',
        note,
      },
      { what: `gRPC / REST in calls a second, ${how}`, measured: best.grpc / best.rest, unit: '×', claimed: '2–7 ×' },
    )
  }
  return lines
}

async function rateOf(call: Call): Promise<number> {
  const { calls, elapsedMs } = await closedLoop({ callers: inFlight, seconds: secondsARound, call })
  return (calls * 1_000) / elapsedMs
}

/** Writing and reading the answer, without any transport: to JSON and back, to protobuf and back. */
function serialisingLines(): Line[] {
  const object = plain(wanted)
  const message = create(CreateOrderResponseSchema, answered(wanted))
  const json = JSON.stringify(object)
  const binary = toBinary(CreateOrderResponseSchema, message)
  const jsonUs = medianUs(() => JSON.parse(JSON.stringify(object)))
  const binaryUs = medianUs(() => fromBinary(CreateOrderResponseSchema, toBinary(CreateOrderResponseSchema, message)))
  return [
    { what: 'the answer as JSON', measured: Buffer.byteLength(json), unit: 'bytes' },
    { what: 'the answer as protobuf', measured: binary.length, unit: 'bytes' },
    { what: 'JSON written and read, by the engine', measured: jsonUs, unit: 'µs' },
    { what: 'protobuf written and read, in JavaScript', measured: binaryUs, unit: 'µs' },
    { what: 'JSON / protobuf in time', measured: jsonUs / binaryUs, unit: '×', claimed: '10 ×' },
  ]
}

function medianUs(run: () => unknown): number {
  const figures: number[] = []
  for (let round = 0; round <= 2 * rounds; round += 1) {
    const beganMs = performance.now()
    for (let index = 0; index < serialised; index += 1) run()
    figures.push(((performance.now() - beganMs) * 1_000) / serialised)
  }
  return quantile(figures, 0.5)
}

async function wayOver(how: string, grpcSocket: string, restSocket: string): Promise<Way> {
  const app = testApp(caller, {
    calls: {
      [OrderService.typeName]: { callee: grpcOrders.name, address: { kind: 'unix', path: grpcSocket } },
      [ordersApi.name]: { callee: restOrders.name, address: { kind: 'unix', path: restSocket } },
    },
  })
  const [grpc, rest] = [client(app, OrderService), restClient(app, ordersApi)]
  const { idempotencyKey, ...body } = wanted
  const way = {
    how,
    grpc: () => grpc.createOrder(wanted),
    rest: async () => {
      const { status } = await rest.createOrder({ body, headers: { 'idempotency-key': idempotencyKey } })
      if (status !== 201) throw new Error(`REST answered ${status}`)
    },
  }
  for (const socket of [grpcSocket, restSocket]) await until(() => existsSync(socket), `${socket} is there`)
  for (const call of [way.grpc, way.rest]) {
    const answers = () =>
      call().then(
        () => true,
        () => false,
      )
    await until(answers, 'REST and gRPC answer')
  }
  return way
}

await main()
process.exit()
