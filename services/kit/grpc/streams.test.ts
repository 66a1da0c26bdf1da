import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '#proto/grpc/health/v1/health_pb.ts'
import { ServerReflection } from '#proto/grpc/reflection/v1/reflection_pb.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { socketFolder, type TestApp, testApp } from '../app/app-fixture.ts'
import { withDeadline } from '../deadline.ts'
import { client } from './client.ts'
import { implement } from './implementation.ts'
import { grpcServer } from './server.ts'

// The two services that stream are gRPC's own, which every server of the kit has.
const inventory = service('inventory', { exposes: [InventoryService] })
const watcher = service('watcher', {
  edges: [
    calls(Health, ['watch'], { deadlineMs: 5_000 }),
    calls(ServerReflection, ['serverReflectionInfo'], { deadlineMs: 2_000 }),
  ],
})

const sockets = socketFolder()
let app: TestApp<typeof inventory> | undefined
let sequence = 0

afterEach(() => app?.stop())
afterAll(() => sockets.remove())

async function start() {
  const address = sockets.at(`inventory${++sequence}`)
  const target = { callee: 'inventory', address }
  app = testApp(inventory, { listen: address })
  await app.add('grpc', grpcServer(app, implement(InventoryService, { checkStock: async () => ({}) })))
  return testApp(watcher, { calls: { [Health.typeName]: target, [ServerReflection.typeName]: target } })
}

describe('a stream', () => {
  test('from the server ends as the server says', async () => {
    const health = client(await start(), Health)
    const seen: ServingStatus[] = []
    for await (const { status } of health.watch({ service: '' })) {
      seen.push(status)
      if (seen.length === 1) void app?.stop()
    }
    expect(seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING])
  })

  test('in both directions answers each message as it comes, many times over', async () => {
    const reflection = client(await start(), ServerReflection)
    const names = Array.from({ length: 500 }, (_, index) => `file-${index}-${'x'.repeat(100)}`)
    async function* ask() {
      for (const value of names) yield { messageRequest: { case: 'fileByFilename' as const, value } }
    }
    let answered = 0
    for await (const { originalRequest } of reflection.serverReflectionInfo(ask())) {
      expect(originalRequest?.messageRequest.value).toBe(names[answered++])
    }
    expect(answered).toBe(names.length)
  })

  test('ends at its deadline', async () => {
    const reflection = client(await start(), ServerReflection)
    async function* silence() {
      await new Promise((resolve) => setTimeout(resolve, 150))
      yield {}
    }
    const read = async () => {
      for await (const _ of reflection.serverReflectionInfo(silence())) throw new Error('Nothing was asked.')
    }
    await expect(withDeadline(60, read)).rejects.toMatchObject({ code: 'deadline-exceeded' })
  })

  test('ends when its reader stops, or the request around it does', async () => {
    const health = client(await start(), Health)
    for await (const { status } of health.watch({ service: '' })) {
      expect(status).toBe(ServingStatus.SERVING)
      break
    }
    const read = withDeadline(60, async () => {
      for await (const _ of health.watch({ service: '' }));
    })
    await expect(read).rejects.toMatchObject({ code: 'deadline-exceeded' })
  })
})
