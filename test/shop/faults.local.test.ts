/** What must stay true, whatever fails. Every test shows that its fault really happened. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Producer } from '@platformatic/kafka'
import { issue } from '#local/certificates/authority.ts'
import { certFiles } from '#local/layout.ts'
import { kafkaOptions, recordCount, withPostgres } from '#local/parts/access-fixture.ts'
import { controlOf } from '#local/supervisor/control.ts'
import { StockReservedSchema } from '#proto/parley/inventory/v1/events_pb.ts'
import { rows as demoRows } from '../../demo/rows.ts'
import { rootDir } from '../sources.ts'
import { eventually, type Stack, startShop, startTimeoutMs } from '../stack.ts'
import { chargesOf, emailsAbout, orderIn, placeOrder } from './client.ts'
import { letsIn } from './mesh-attempt.ts'

let shop: Stack
beforeAll(async () => {
  shop = await startShop(13)
  // The first calls of a process compile its code: they say nothing about a breaker.
  for (let index = 0; index < 5; index++) await placeOrder(shop)
}, startTimeoutMs)
afterAll(async () => shop?.stop(), 60_000)

describe('the demo', () => {
  test('walks every row, and each goes well; inventory is stopped in one, and the sixth order makes no attempt', async () => {
    const { code, stdout } = await demo('--json')
    const { rows, failed } = JSON.parse(stdout) as { rows: DemoRow[]; failed: number[] }
    expect(rows.filter(({ failure }) => failure !== null)).toEqual([])
    expect({ code, failed, walked: rows.length }).toEqual({ code: 0, failed: [], walked: demoRows.length })
    const said = rows.find(({ name }) => name === 'service-mesh')?.exchanges.map(({ came }) => came)
    expect(said).toContain('1: five orders made 5 attempts, the sixth 0')
  }, 240_000)

  test('fails with the row that fails', async () => {
    await parley('stop', 'shipping')
    const { code, stdout } = await demo('--row', 'request-reply')
    expect(code).toBe(1)
    expect(stdout).toMatch(/FAILED.*0 of 1 rows went well, 1 failed.*6 request-reply: .*make demo ROW=6/s)
    await parley('start', 'shipping')
  }, 60_000)
})

describe('an event', () => {
  test('that comes twice with the same id has one effect', async () => {
    const orderId = `dup-${randomUUID()}`
    const before = await recordCount(shop.layout, 'payments')
    const event = { id: randomUUID(), key: orderId, value: reserved(orderId) }
    await publishAs('inventory', 'stock', [event, event])
    await publishAs('inventory', 'stock', [event])
    await eventually(
      () => recordCount(shop.layout, 'payments'),
      (count) => count > before,
    )
    // What comes behind the repetitions on the same key is handled after them.
    const behind = { id: randomUUID(), key: orderId, value: reserved(`${orderId}-behind`) }
    await publishAs('inventory', 'stock', [behind])
    await eventually(
      () => chargesOf(shop),
      (charges) => charges.some(({ id }) => id === `pay-${orderId}-behind`),
    )
    await eventually(
      () => recordCount(shop.layout, 'payments'),
      (count) => count >= before + 2,
    )
    expect(await recordCount(shop.layout, 'payments')).toBe(before + 2)
  }, 60_000)

  test('that nobody can read goes to the dead letters of both its consumers, and its neighbours go on', async () => {
    const before = await Promise.all(
      ['stock.orders.dead-letter', 'stock.payments.dead-letter'].map((topic) => recordCount(shop.layout, topic)),
    )
    await publishAs('inventory', 'stock', [
      { id: randomUUID(), key: `poison-${randomUUID()}`, value: Buffer.from('\xff\xff no protobuf') },
    ])
    const { body } = await placeOrder(shop)
    await orderIn(shop, body.orderId, 'shipped')
    // Orders declared only StockRejected: it never reads the payload of a StockReserved, so that is no poison for it.
    await eventually(
      () => recordCount(shop.layout, 'stock.payments.dead-letter'),
      (count) => count === (before[1] ?? 0) + 1,
    )
    expect(await recordCount(shop.layout, 'stock.orders.dead-letter')).toBe(before[0])
  }, 60_000)
})

describe('a dead letter', () => {
  test('is listed with its reason and its trace, and replayed once though two ask at once; the order is shipped', async () => {
    const rename = (from: string, to: string) =>
      withPostgres(shop.layout, 'shipping', 'shipping', (client) => client.query(`alter table ${from} rename to ${to}`))
    await rename('shipment', 'mislaid')
    const { body } = await placeOrder(shop)
    const list = async () => JSON.parse((await shop.parley('dlq', 'list', 'shipping', '--json')).stdout)
    const { letters } = await eventually(list, (found) => found.letters.length > 0)
    expect(JSON.parse((await shop.parley('dlq', 'list', '--json')).stdout).unknown).toEqual([])
    expect(letters).toMatchObject([
      { service: 'shipping', key: body.orderId, type: 'parley.orders.v1.OrderConfirmed', code: 'ATTEMPTS_USED_UP' },
    ])
    expect(letters[0]).toMatchObject({
      reason: 'relation "shipment" does not exist',
      attempts: 5,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    const id = `shipping/${letters[0].number}`
    const failed = await shop.parley('dlq', 'replay', id)
    expect(failed).toMatchObject({
      code: 3,
      stdout: expect.stringContaining(`${id} failed again: relation "shipment"`),
    })
    await rename('mislaid', 'shipment')
    const before = await recordCount(shop.layout, 'shipments')
    const [, all] = await Promise.all([shop.parley('dlq', 'replay', id), shop.parley('dlq', 'replay', '--all')])
    // The last word is the sum: no service was left out, and stand-ins were not asked.
    expect(all.stdout).toMatch(/\d+ handled, \d+ failed again, \d+ under way elsewhere\.\n$/)
    await orderIn(shop, body.orderId, 'shipped')
    expect((await list()).letters).toEqual([])
    expect(await recordCount(shop.layout, 'shipments')).toBe(before + 1)
  }, 60_000)
})

describe('the authority is replaced while orders come in', () => {
  test('no order fails, and a certificate of the old one is refused afterwards', async () => {
    const { cert, key } = certFiles(shop.layout.certsDir, 'authority')
    const old = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
    const spiffe = shop.plan.services.find(({ name }) => name === 'gateway')?.identity.spiffe ?? ''
    const leaf = await issue(old, { name: 'gateway', spiffe, dnsNames: [], addresses: [] }, 3_600_000)
    const inbound = shop.layout.services.orders?.inbound ?? { address: '', port: 0 }
    expect(await letsIn(inbound, leaf)).toBe(true)

    let rotated = false
    const rotation = controlOf(controlSocket())
      .rotate(true)
      .finally(() => {
        rotated = true
      })
    const answers: { status: number; orderId: unknown }[] = []
    while (!rotated || answers.length < 40) {
      const { status, body } = await placeOrder(shop)
      answers.push({ status, orderId: body.orderId })
    }
    await rotation
    expect(answers.filter(({ status }) => status !== 201)).toHaveLength(0)
    expect(await letsIn(inbound, leaf)).toBe(false)
    const { body } = await placeOrder(shop)
    for (const orderId of [...answers.map((answer) => answer.orderId), body.orderId])
      await orderIn(shop, orderId, 'shipped')
  }, 120_000)
})

describe('something is killed while orders come in', () => {
  test.each(['payments', 'kafka', 'rabbitmq', 'orders'])(
    '%s: every order is shipped, charged once, and told of once',
    async (victim) => {
      const restartsBefore = await restartsOf(victim)
      const chargedBefore = new Set((await chargesOf(shop)).map(({ id }) => id))
      const keys = Array.from({ length: 30 }, () => randomUUID())
      for (const [index, key] of keys.entries()) {
        if (index === 10) process.kill(await pidOf(victim), 'SIGKILL')
        await placeOrder(shop, { key })
      }
      await eventually(
        () => restartsOf(victim),
        (restarts) => restarts === restartsBefore + 1,
        60_000,
      )
      // Whoever was not answered cannot know: they ask again under the same key, and get one order, placed then or now.
      const orderIds: unknown[] = []
      for (const key of keys) {
        const { body } = await eventually(
          () => placeOrder(shop, { key }),
          ({ status }) => status === 201,
        )
        orderIds.push(body.orderId)
      }
      for (const orderId of orderIds) await orderIn(shop, orderId, 'shipped')
      // Not only these under their own ids: no other charge came up either, and no order was half accepted.
      const charged = (await chargesOf(shop)).filter(({ id }) => !chargedBefore.has(id))
      expect(charged.map(({ id, status }) => `${id} ${status}`).sort()).toEqual(
        orderIds.map((id) => `pay-${id} captured`).sort(),
      )
      for (const orderId of orderIds) {
        await eventually(
          () => emailsAbout(shop, `${orderId} is on its way`),
          (found) => found.length > 0,
        )
      }
      for (const orderId of orderIds) expect(await emailsAbout(shop, `${orderId} is on its way`)).toHaveLength(1)
    },
    120_000,
  )
})

async function parley(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await shop.parley(...args)
  if (code !== 0) throw new Error(`parley ${args.join(' ')} exited with ${code}: ${stderr}`)
}

type DemoRow = { name: string; failure: string | null; exchanges: { came: string }[] }

/** The demo, as `make demo` runs it. */
function demo(...args: string[]): Promise<{ code: number; stdout: string }> {
  const state = join(shop.layout.runDir, '../..')
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_OPTIONS: '' }
    execFile(
      join(rootDir, 'bin/node'),
      ['demo/main.ts', '--state', state, ...args],
      { cwd: rootDir, env },
      (error, stdout) => resolve({ code: error ? Number(error.code) : 0, stdout }),
    )
  })
}

function controlSocket(): string {
  return (JSON.parse(readFileSync(join(shop.layout.runDir, 'run.json'), 'utf8')) as { socket: string }).socket
}

async function processOf(name: string): Promise<{ pid: number; restarts: number }> {
  const { stdout } = await shop.parley('status', '--json')
  const { processes } = JSON.parse(stdout) as { processes: { name: string; pid: number; restarts: number }[] }
  const found = processes.find((one) => one.name === name)
  if (!found) throw new Error(`There is no ${name}`)
  return found
}

const pidOf = async (name: string) => (await processOf(name)).pid
const restartsOf = async (name: string) => (await processOf(name)).restarts

function reserved(orderId: string): Buffer {
  const total = { currency: 'EUR', minorUnits: 100n }
  return Buffer.from(
    toBinary(
      StockReservedSchema,
      create(StockReservedSchema, { orderId, customerId: 'c', total, paymentMethod: 'card' }),
    ),
  )
}

/** Publishes as another service would, with its certificate; the broker sees no difference. */
async function publishAs(
  identity: string,
  topic: string,
  events: readonly { id: string; key: string; value: Buffer }[],
): Promise<void> {
  const options = await kafkaOptions(shop.layout, certFiles(shop.layout.certsDir, identity))
  const producer = new Producer<Buffer, Buffer, string, string>({
    ...options,
    serializers: {
      key: (key) => key,
      value: (value) => value,
      headerKey: (name) => Buffer.from(name ?? ''),
      headerValue: (text) => Buffer.from(text ?? ''),
    },
  })
  const headers = (id: string) => ({
    ce_specversion: '1.0',
    ce_id: id,
    ce_type: 'parley.inventory.v1.StockReserved',
    ce_source: `/shop/${identity}`,
    ce_time: new Date().toISOString(),
    ce_correlationid: id,
    ce_dataversion: 'v1',
    'content-type': 'application/protobuf',
  })
  try {
    await producer.send({
      messages: events.map(({ id, key, value }) => ({ topic, key: Buffer.from(key), value, headers: headers(id) })),
      acks: -1,
    })
  } finally {
    await producer.close()
  }
}
