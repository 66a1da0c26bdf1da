import { create } from '@bufbuild/protobuf'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { AnyTx } from '#kit/store/database.ts'
import { StockReservedSchema } from '#proto/parley/inventory/v1/events_pb.ts'
import { OrderCancelledSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment } from '#proto/parley/orders/v1/orders_pb.ts'
import { ChargePaymentSchema, RefundPaymentSchema } from '#proto/parley/payments/v1/commands_pb.ts'
import type { BankClient } from './bank-client.ts'
import { type Dependencies, type PaymentRow, paymentCommands, paymentHandlers } from './handlers.ts'

const reserved = create(StockReservedSchema, { orderId: 'o-1', total: { currency: 'EUR', minorUnits: 1999n } })
const cancelled = create(OrderCancelledSchema, { orderId: 'o-1' })

type World = {
  handlers: ReturnType<typeof paymentHandlers<AnyTx>>
  tasks: ReturnType<typeof paymentCommands<AnyTx>>
  bankHolds: () => bigint
  told: string[]
}

/** A bank and a table that keep the promises which the handlers rely on, and nothing else. */
function world(): World {
  const charges = new Map<string, bigint | 'voided'>()
  const rows = new Map<string, PaymentRow>()
  const told: string[] = []
  const bank: BankClient = {
    async charge(id, { minorUnits }) {
      const known = charges.get(id)
      if (known === 'voided') return { kind: 'voided' }
      charges.set(id, minorUnits)
      return { kind: 'captured' }
    },
    async voidPayment(id) {
      charges.set(id, 'voided')
    },
  }
  const payments: Dependencies<AnyTx>['payments'] = {
    async recordCharge(_tx, row) {
      if (rows.has(row.order_id)) return false
      rows.set(row.order_id, row)
      return true
    },
    async recordCancellation(_tx, orderId, paymentId) {
      const row = rows.get(orderId)
      if (row?.status === 'captured') {
        rows.set(orderId, { ...row, status: 'refunded' })
        return row
      }
      if (!row)
        rows.set(orderId, {
          order_id: orderId,
          payment_id: paymentId,
          status: 'cancelled',
          currency: '',
          minor_units: 0n,
        })
      return null
    },
    statusOf: async (_tx, orderId) => rows.get(orderId)?.status ?? null,
  }
  const publish: Dependencies<AnyTx>['publish'] = (_tx, schema) => {
    told.push(schema.name)
    return ''
  }
  const bankHolds = () =>
    [...charges.values()].reduce<bigint>((sum, charge) => sum + (charge === 'voided' ? 0n : charge), 0n)
  const tasks = paymentCommands({ bank, payments })
  return { handlers: paymentHandlers({ bank, payments, publish }), tasks, bankHolds, told }
}

const tx = {} as AnyTx

test('an order is charged once, though its event is handled twice', async () => {
  const { handlers, bankHolds, told } = world()
  for (const effect of [await handlers.charge(reserved), await handlers.charge(reserved)]) await effect(tx)
  expect(bankHolds()).toBe(1999n)
  expect(told).toEqual(['PaymentCaptured'])
})

test('a cancelled order keeps no money, and what is told adds up, however charge and cancellation are interleaved and repeated', async () => {
  // Each step asks the bank for one of the two, or writes the oldest answer that was not written yet; the rest is redelivered.
  const step = fc.constantFrom('ask to charge', 'write charge', 'ask to void', 'write void')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { handlers, bankHolds, told } = world()
      const waiting = { charge: [] as ((tx: AnyTx) => Promise<void>)[], void: [] as ((tx: AnyTx) => Promise<void>)[] }
      const redelivery = ['ask to charge', 'write charge', 'ask to void', 'write void'] as const
      for (const next of [...steps, ...redelivery]) {
        if (next === 'ask to charge') waiting.charge.push(await handlers.charge(reserved))
        if (next === 'ask to void') waiting.void.push(await handlers.stop.prepare(cancelled))
        if (next === 'write charge') await waiting.charge.shift()?.(tx)
        if (next === 'write void') await waiting.void.shift()?.(tx)
      }
      for (const effect of [...waiting.charge, ...waiting.void]) await effect(tx)
      expect(bankHolds()).toBe(0n)
      const count = (name: string) => told.filter((one) => one === name).length
      expect(count('PaymentCaptured')).toBeLessThanOrEqual(1)
      expect(count('PaymentRefunded')).toBe(count('PaymentCaptured'))
    }),
    { numRuns: 500 },
  )
})

test('a leader is told the same however often it asks, and never that a charge stands which was given back', async () => {
  const { tasks, bankHolds } = world()
  const charge = create(ChargePaymentSchema, { orderId: 'o-1', amount: { currency: 'EUR', minorUnits: 1999n } })
  const answered = await tasks.charge(charge)
  const again = await tasks.charge(charge)
  expect([(await answered(tx)).case, (await again(tx)).case]).toEqual(['done', 'done'])
  const late = await tasks.charge(charge)
  expect((await (await tasks.refund(create(RefundPaymentSchema, { orderId: 'o-1' })))(tx)).case).toBe('undone')
  expect((await late(tx)).case).toBe('refused')
  expect((await (await tasks.charge(charge))(tx)).case).toBe('refused')
  expect(bankHolds()).toBe(0n)
})

test('an order that is led is left to its leader', async () => {
  const { handlers } = world()
  const led = create(OrderCancelledSchema, { orderId: 'o-1', fulfilment: Fulfilment.ORCHESTRATED })
  expect(handlers.stop.ignores(led)).toBe(true)
})
