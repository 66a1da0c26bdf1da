import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { SpanKind, trace } from '@opentelemetry/api'
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { openAdmin } from '../app/admin.ts'
import { socketFolder, testApp } from '../app/app-fixture.ts'
import { currentSignal, runAsMessage } from '../context.ts'
import { ServiceError } from '../errors.ts'
import { client } from '../grpc/client.ts'
import { implement } from '../grpc/implementation.ts'
import { grpcServer } from '../grpc/server.ts'
import { restServer } from '../http/server.ts'
import { openLog, silentLog } from './log.ts'
import { attribute } from './semantics.ts'
import { gauge, injectTrace, inSpan, linkTo, startTelemetry, type Telemetry } from './telemetry.ts'

type Exporter = NonNullable<NodeSDKConfiguration['traceExporter']>
type FinishedSpan = Parameters<Exporter['export']>[0][number]

const sockets = socketFolder()
const spans: FinishedSpan[] = []
const exporter: Exporter = {
  export: (batch, done) => {
    spans.push(...batch)
    done({ code: 0 })
  },
  shutdown: async () => undefined,
}
let telemetry: Telemetry

beforeAll(async () => {
  const configuration = { service: 'gateway', system: 'test', version: '1', environment: 'local' }
  telemetry = await startTelemetry(configuration, silentLog, { traceExporter: exporter })
})
afterAll(() => sockets.remove())

function get(
  path: string,
  socketPath: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, headers }, async (response) =>
      resolve({ status: response.statusCode ?? 0, text: (await response.toArray()).join('') }),
    )
    sent.on('error', reject).end()
  })
}

describe('one request', () => {
  const lines: Record<string, unknown>[] = []

  beforeAll(async () => {
    const api = rest('api', { show: 'GET /stock/{id}' })
    const inventoryApp = testApp(
      service('inventory', { exposes: [InventoryService] }),
      { listen: sockets.at('inventory') },
      openLog({ service: 'inventory', logLevel: 'info' }, { write: (line) => void lines.push(JSON.parse(line)) }),
    )
    const gatewayApp = testApp(
      service('gateway', { exposes: [api], edges: [calls(InventoryService, ['checkStock'])] }),
      {
        listen: sockets.at('gateway'),
        calls: { [InventoryService.typeName]: { callee: 'inventory', address: sockets.at('inventory') } },
      },
    )
    const stock = client(gatewayApp, InventoryService)
    const leaf = implement(InventoryService, {
      async checkStock({ lines: [line] }) {
        inventoryApp.log.info('Checked.', { token: 'secret', nested: { password: 'secret' }, product: line?.productId })
        if (line?.productId === 'p-gone') await once(currentSignal(), 'abort')
        if (line?.productId === 'p-0') throw new ServiceError('not-found', 'There is no p-0.')
        return {}
      },
    })
    await inventoryApp.add('grpc', grpcServer(inventoryApp, leaf))
    const show = async ({ params }: { params: { id: string } }) => {
      await stock.checkStock({ lines: [{ productId: params.id }] })
      return { status: 200, body: {} }
    }
    await gatewayApp.add('rest', restServer(gatewayApp, api, { show: { handler: show } }))
    await get('/stock/p-1', sockets.at('gateway').path, {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'x-correlation-id': 'c-1',
    })
    await get('/stock/p-0', sockets.at('gateway').path)
    const leaving = request({ socketPath: sockets.at('gateway').path, path: '/stock/p-gone' }).on(
      'error',
      () => undefined,
    )
    leaving.end()
    setTimeout(() => leaving.destroy(), 100)
    await new Promise((resolve) => leaving.once('close', resolve))
    await runAsMessage('c-2', () => inSpan('consume', { kind: SpanKind.CONSUMER }, () => stock.checkStock({})))
    await Promise.all([gatewayApp.stop(), inventoryApp.stop()])
  })

  test('is counted by what it was and how it ended', async () => {
    const stop = gauge('parley.outbox.age', 's', () => [{ value: 3, attributes: { topic: 'orders' } }])
    const admin = await openAdmin(sockets.at('admin'), {
      notReady: async () => ({}),
      serveMetrics: telemetry.serveMetrics,
    })
    const { text } = await get('/metrics', sockets.at('admin').path)
    stop()
    await admin.close()
    expect(text).toMatch(
      /http_server_request_duration_seconds_count\{.*http_route="\/stock\/:id",http_response_status_code="200".*\} 1/,
    )
    expect(text).toMatch(/http_server_request_duration_seconds_count\{.*http_response_status_code="499".*\} 1/)
    expect(text).toMatch(/rpc_server_call_duration_seconds_count\{.*rpc_response_status_code="NOT_FOUND".*\} 1/)
    expect(text).toMatch(/rpc_client_call_duration_seconds_bucket\{.*server_address="inventory".*le="0.06".*\}/)
    expect(text).toMatch(/parley_outbox_age_seconds\{.*topic="orders".*\} 3/)
  })

  test('writes lines with its trace and correlation id, and no secret', () => {
    expect(lines[0]).toMatchObject({
      level: 'info',
      service: 'inventory',
      message: 'Checked.',
      correlation_id: 'c-1',
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      product: 'p-1',
    })
    expect(JSON.stringify(lines)).not.toContain('secret')
    expect(lines.at(-1)).toMatchObject({ correlation_id: 'c-2' })
  })

  test('is one trace, from what the client sent to the leaf', async () => {
    await telemetry.stop()
    const trace = spans.filter((span) => span.spanContext().traceId === '0af7651916cd43dd8448eb211c80319c')
    const chain = [
      'GET /stock/:id',
      'parley.inventory.v1.InventoryService/CheckStock',
      'parley.inventory.v1.InventoryService/CheckStock',
    ]
    const ordered = [SpanKind.SERVER, SpanKind.CLIENT].map((kind) =>
      trace.find((span) => span.kind === kind && (kind !== SpanKind.SERVER || span.name.startsWith('GET'))),
    )
    const leaf = trace.find((span) => span.kind === SpanKind.SERVER && !span.name.startsWith('GET'))
    const [root, outgoing] = ordered
    expect([root?.name, outgoing?.name, leaf?.name]).toEqual(chain)
    expect(root?.parentSpanContext?.spanId).toBe('b7ad6b7169203331')
    expect(outgoing?.parentSpanContext?.spanId).toBe(root?.spanContext().spanId)
    expect(leaf?.parentSpanContext?.spanId).toBe(outgoing?.spanContext().spanId)
    expect(leaf?.attributes[attribute.correlationId]).toBe('c-1')
  })
})

test('a consumer is linked to the trace that its message carried', async () => {
  await inSpan('produce', { kind: SpanKind.PRODUCER }, async () => {
    const carrier = injectTrace({})
    expect(linkTo(carrier)[0]?.context.traceId).toBe(trace.getActiveSpan()?.spanContext().traceId)
  })
  expect(linkTo({})).toEqual([])
  expect(linkTo({ traceparent: 'nonsense' })).toEqual([])
})
