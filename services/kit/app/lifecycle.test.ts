import { request } from 'node:http'
import { afterAll, describe, expect, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { silentLog } from '../telemetry/log.ts'
import { socketFolder, testApp } from './app-fixture.ts'
import { launch } from './lifecycle.ts'

const node = service('worker', {})
const sockets = socketFolder()
afterAll(() => sockets.remove())

function ask(path: string, socketPath: string): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path }, async (response) =>
      resolve({ status: response.statusCode ?? 0, body: JSON.parse((await response.toArray()).join('')) }),
    )
    sent.on('error', reject).end()
  })
}

function configuration(name: string) {
  return { ...testApp(node).configuration, admin: sockets.at(name) }
}

describe('a service', () => {
  test('is ready when all is started and every check passes, and not from the moment it stops', async () => {
    const { path } = sockets.at('ready')
    let reason: string | undefined = 'no partition yet'
    let whileStarting: unknown
    let whileStopping: unknown
    const running = await launch(
      node,
      async (app) => {
        app.readyWhen('consumer', () => reason)
        whileStarting = (await ask('/readyz', path)).body
        await app.add('part', {
          async close() {
            whileStopping = await ask('/readyz', path)
          },
        })
      },
      configuration('ready'),
      silentLog,
    )
    expect(whileStarting).toEqual({ status: 'not ready', reasons: { lifecycle: 'starting' } })
    expect(await ask('/readyz', path)).toMatchObject({
      status: 503,
      body: { reasons: { consumer: 'no partition yet' } },
    })
    reason = undefined
    expect((await ask('/readyz', path)).status).toBe(200)
    expect((await ask('/livez', path)).status).toBe(200)
    expect((await ask('/nothing', path)).status).toBe(404)
    expect(await running.stop()).toBe(true)
    expect(whileStopping).toMatchObject({ status: 503, body: { reasons: { lifecycle: 'stopping' } } })
  })

  test('closes its parts in reverse order, goes on after one that fails, and gives up in time', async () => {
    const closed: string[] = []
    const part = (name: string, close: () => Promise<void> = async () => undefined) => ({
      close: () => {
        closed.push(name)
        return close()
      },
    })
    const begin = (hanging: boolean) =>
      launch(
        node,
        async (app) => {
          await app.add('database', part('database'))
          await app.add(
            'relay',
            part('relay', () => Promise.reject(new Error('broker away'))),
          )
          await app.add('server', part('server', hanging ? () => new Promise(() => undefined) : undefined))
        },
        configuration(`order-${hanging}`),
        silentLog,
      )
    expect(await (await begin(false)).stop()).toBe(false)
    expect(closed).toEqual(['server', 'relay', 'database'])
    const startedMs = performance.now()
    expect(await (await begin(true)).stop({ drainMsMax: 50 })).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(500)
  })

  test('that cannot start closes what it had opened', async () => {
    let closed = false
    const starting = launch(
      node,
      async (app) => {
        await app.add('database', {
          async close() {
            closed = true
          },
        })
        throw new Error('no schema')
      },
      configuration('failing'),
      silentLog,
    )
    await expect(starting).rejects.toThrow('no schema')
    expect(closed).toBe(true)
  })
})
