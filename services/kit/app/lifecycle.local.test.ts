import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { isServiceError } from '../errors.ts'
import { client } from '../grpc/client.ts'
import { socketFolder, testApp } from './app-fixture.ts'

// A start takes 0.3 s; on a machine that does ten other things, many times that.
jest.setTimeout(60_000)

const caller = service('caller', { edges: [calls(InventoryService, ['checkStock'], { deadlineMs: 3_000 })] })
const started: { child: ChildProcess; sockets: ReturnType<typeof socketFolder> }[] = []

afterEach(() => {
  for (const { child, sockets } of started.splice(0)) {
    child.kill('SIGKILL')
    sockets.remove()
  }
})

function start(change: Record<string, string | undefined> = {}) {
  const sockets = socketFolder()
  const listen = sockets.at('app')
  const admin = sockets.at('admin')
  const variables = { PARLEY_SYSTEM: 'test', PARLEY_LISTEN: `unix:${listen.path}`, PARLEY_ADMIN: `unix:${admin.path}` }
  const child = spawn(process.execPath, [join(import.meta.dirname, 'lifecycle-fixture.ts')], {
    env: { PATH: process.env.PATH, ...variables, ...change },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push({ child, sockets })
  const app = testApp(caller, { calls: { [InventoryService.typeName]: { callee: 'inventory', address: listen } } })
  const output = text(child.stdout)
  return {
    child,
    listen,
    admin,
    output,
    errors: text(child.stderr),
    exited: once(child, 'exit'),
    stock: client(app, InventoryService),
  }
}

async function answering({ stock }: Pick<ReturnType<typeof start>, 'stock'>): Promise<void> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const asked = await stock.checkStock({}).catch((thrown: unknown) => {
      if (isServiceError(thrown, 'unavailable')) return undefined
      throw thrown
    })
    if (asked) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('The service did not answer within 25 s')
}

const slow = { lines: [{ productId: 'slow' }] }

describe('a process', () => {
  test('answers what is under way when it is told to stop, and ends with 0', async () => {
    const service = start()
    await answering(service)
    expect([service.listen, service.admin].map(({ path }) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600])
    const underWay = Array.from({ length: 10 }, () => service.stock.checkStock(slow))
    await new Promise((resolve) => setTimeout(resolve, 100))
    service.child.kill('SIGTERM')
    expect(await Promise.all(underWay)).toHaveLength(10)
    expect(await service.exited).toEqual([0, null])
    const lines = (await service.output).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(['Ready.', 'Stopping.', 'Stopped.'])
  })

  test('starts again where a killed predecessor left its sockets', async () => {
    const first = start()
    await answering(first)
    first.child.kill('SIGKILL')
    await first.exited
    expect(existsSync(first.listen.path)).toBe(true)
    const second = start({ PARLEY_LISTEN: `unix:${first.listen.path}`, PARLEY_ADMIN: `unix:${first.admin.path}` })
    await answering(first)
    expect(second.child.exitCode).toBeNull()
  })

  test('ends at once when it is told to stop while it waits for a part that never comes', async () => {
    const service = start({ FIXTURE_HANGS: 'yes' })
    while (!existsSync(service.listen.path)) await new Promise((resolve) => setTimeout(resolve, 20))
    service.child.kill('SIGTERM')
    expect(await service.exited).toEqual([0, null])
    expect(await service.output).not.toContain('Ready.')
  })

  test('ends with 1 and says which variable is missing', async () => {
    const service = start({ PARLEY_ADMIN: undefined })
    expect(await service.exited).toEqual([1, null])
    expect(await service.errors).toContain('PARLEY_ADMIN is missing')
  })

  test('ends with 1 when an error escapes, and says it', async () => {
    const service = start()
    await answering(service)
    service.stock.checkStock({ lines: [{ productId: 'crash' }] }).catch(() => undefined)
    expect(await service.exited).toEqual([1, null])
    expect(await service.output).toContain('a fault of the programmer')
  })
})
