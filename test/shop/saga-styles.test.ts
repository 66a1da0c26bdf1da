/**
 * Both styles of saga on a model of the shop: the same order ends in the same state, whichever way it is fulfilled and whatever
 * order messages come in, however often they are repeated, and wherever somebody crashes in between. Orders' and payments'
 * decisions, the reservation's and the leader's are the real ones; the tables, the bank and the brokers are played.
 */
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { beginning, decide as decideSaga, dueAt, type SagaEvent } from '#kit/saga/decide.ts'
import { courseOf, hasEnded } from '#kit/saga/state.ts'
import type { AnyTx } from '#kit/store/database.ts'
import { checkout, fulfil } from '#mesh/shop.ts'
import { StockReservedSchema } from '#proto/parley/inventory/v1/events_pb.ts'
import { OrderCancelledSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment, StockCheck } from '#proto/parley/orders/v1/orders_pb.ts'
import { ChargePaymentSchema, RefundPaymentSchema } from '#proto/parley/payments/v1/commands_pb.ts'
import { decideReservation } from '../../services/inventory/stock.ts'
import { decide, evolve, noOrder, type OrderCommand, type OrderState } from '../../services/orders/order.ts'
import { type PaymentRow, paymentCommands, paymentHandlers } from '../../services/payments/handlers.ts'

const tx = {} as AnyTx
const orderId = 'o-1'
const total = { currency: 'EUR', minorUnits: 1_999n }

/** What a customer wants, and what they meet. */
type Given = {
  readonly quantity: number
  readonly stock: number
  readonly declined: boolean
  readonly cancelled: boolean
}

/** What befalls one delivery. */
type Fate = {
  /** Which of the messages under way is delivered. */
  readonly pick: number
  /** Whoever takes it dies between its work outside and its effect; it is delivered again. */
  readonly crash: boolean
  /** It is delivered once more, though it had its effect. */
  readonly repeat: boolean
  /** A command is put aside: nobody answers it. */
  readonly lost: boolean
}

/** A message under way to one consumer. `lane`: those of one lane keep their order; '' for a queue, where none does. */
type Message = {
  readonly id: string
  readonly lane: string
  readonly losable?: boolean
  /** The work outside any transaction; answers the effect. */
  readonly prepare: () => Promise<(() => void | Promise<void>) | undefined>
}

/** The services' tables, the bank, and the customer's mailbox. */
function shop({ stock, declined }: Given) {
  let free = stock
  let reservation: { status: 'reserved' | 'rejected' | 'released'; quantity: number; reason: string } | null = null
  let order: OrderState = noOrder
  let parcels = 0
  const mails = new Set<string>()
  const charges = new Map<string, bigint | 'voided'>()
  const rows = new Map<string, PaymentRow>()
  const bank: Parameters<typeof paymentHandlers<AnyTx>>[0]['bank'] = {
    async charge(id, { minorUnits }) {
      if (charges.get(id) === 'voided') return { kind: 'voided' }
      if (declined) return { kind: 'declined', reason: 'card declined' }
      charges.set(id, minorUnits)
      return { kind: 'captured' }
    },
    voidPayment: async (id) => void charges.set(id, 'voided'),
  }
  const payments: Parameters<typeof paymentHandlers<AnyTx>>[0]['payments'] = {
    async recordCharge(_tx, row) {
      if (rows.has(row.order_id)) return false
      rows.set(row.order_id, row)
      return true
    },
    async recordCancellation(_tx, id, paymentId) {
      const row = rows.get(id)
      const empty = { order_id: id, payment_id: paymentId, currency: '', minor_units: 0n }
      if (!row) rows.set(id, { ...empty, status: 'cancelled' })
      if (row?.status !== 'captured') return null
      rows.set(id, { ...row, status: 'refunded' })
      return row
    },
    statusOf: async (_tx, id) => rows.get(id)?.status ?? null,
  }
  return {
    bank,
    payments,
    command(wanted: OrderCommand): readonly string[] {
      const events = decide(order, wanted)
      order = events.reduce(evolve, order)
      return events.map(({ $typeName }) => $typeName.replace(/^.*\./, ''))
    },
    reserve(quantity: number): { ok: boolean; reason: string; isNew: boolean } {
      if (reservation) return { ok: reservation.status === 'reserved', reason: reservation.reason, isNew: false }
      const decided = decideReservation(new Map([['p', free]]), [{ productId: 'p', quantity }])
      reservation = { status: decided.kind, quantity, reason: decided.kind === 'rejected' ? decided.reason : '' }
      if (decided.kind === 'rejected') return { ok: false, reason: decided.reason, isNew: true }
      free -= quantity
      return { ok: true, reason: '', isNew: true }
    },
    release(): void {
      if (reservation?.status === 'reserved') free += reservation.quantity
      if (!reservation || reservation.status === 'reserved') {
        reservation = { status: 'released', quantity: 0, reason: 'released before' }
      }
    },
    dispatch() {
      parcels = 1
    },
    mail: (template: string) => void mails.add(template),
    /** What somebody outside could see. */
    end: () => ({
      order: order.status,
      reason: order.status === 'none' ? '' : order.cancelReason,
      free,
      money: [...charges.values()].reduce<bigint>((sum, charge) => sum + (charge === 'voided' ? 0n : charge), 0n),
      parcels,
      mails: [...mails].sort(),
    }),
  }
}

type Shop = ReturnType<typeof shop>

/** Carries messages until none is left, as fate has it. Every effect goes through an inbox. */
async function carry(under: Message[], fates: Iterator<Fate>, idle: () => boolean): Promise<void> {
  const seen = new Set<string>()
  for (let round = 0; under.length > 0 || idle(); round += 1) {
    if (round > 2_000) throw new Error('It does not end.')
    const { pick, crash, repeat, lost } = fates.next().value ?? calm
    const heads = under.filter(
      ({ lane }, index) => lane === '' || under.findIndex((one) => one.lane === lane) === index,
    )
    const message = heads[pick % Math.max(1, heads.length)]
    if (!message) continue
    const { id, lane, losable, prepare } = message
    const inbox = `${lane} ${id}`
    const effect = seen.has(inbox) ? undefined : await prepare()
    if (crash) continue
    if (!repeat) under.splice(under.indexOf(message), 1)
    if (lost && losable) continue
    seen.add(inbox)
    await effect?.()
  }
}
const calm: Fate = { pick: 0, crash: false, repeat: false, lost: false }

/** The checkout of `mesh/shop.ts` by events. */
async function choreographed(given: Given, fates: Iterator<Fate>) {
  const world = shop(given)
  const under: Message[] = []
  let number = 0
  const emit = (event: string, said: { reason?: string } = {}) => {
    number += 1
    const id = String(number)
    for (const [who, topic, prepare] of reactions[event]?.(said) ?? [])
      under.push({ id, lane: `${who} ${topic}`, prepare })
  }
  const publish = (_tx: AnyTx, schema: DescMessage, said: MessageInitShape<DescMessage>) => {
    emit(schema.name, said as { reason?: string })
    return ''
  }
  const { charge, stop } = paymentHandlers({ ...world, publish: publish as never })
  const now = (run: () => void) => async () => run
  const order = (wanted: OrderCommand) =>
    now(() => {
      for (const event of world.command(wanted)) emit(event, { reason: reasonOf(wanted) })
    })
  type Reaction = readonly [who: string, topic: string, prepare: Message['prepare']]
  const reactions: Record<string, (said: { reason?: string }) => readonly Reaction[]> = {
    OrderPlaced: () => [['inventory', 'orders', now(() => reserved(world.reserve(given.quantity), emit))]],
    StockReserved: () => [
      ['payments', 'stock', async () => inTx(await charge(create(StockReservedSchema, { orderId, total })))],
    ],
    StockRejected: ({ reason = '' }) => [['orders', 'stock', order({ kind: 'cancel', reason })]],
    PaymentCaptured: () => [['orders', 'payments', order({ kind: 'confirm' })]],
    PaymentDeclined: ({ reason = '' }) => [['orders', 'payments', order({ kind: 'cancel', reason })]],
    OrderConfirmed: () => [
      [
        'shipping',
        'orders',
        now(() => {
          world.dispatch()
          emit('ShipmentDispatched')
        }),
      ],
      ['notifications', 'orders', now(() => world.mail('order-confirmed'))],
    ],
    OrderCancelled: () => [
      ['inventory', 'orders', now(() => world.release())],
      ['payments', 'orders', async () => inTx(await stop.prepare(create(OrderCancelledSchema, { orderId })))],
      ['notifications', 'orders', now(() => world.mail('order-cancelled'))],
    ],
    ShipmentDispatched: () => [['orders', 'shipments', order({ kind: 'ship', trackingNumber: 't' })]],
    OrderShipped: () => [['notifications', 'orders', now(() => world.mail('order-shipped'))]],
  }
  for (const event of world.command(place)) emit(event)
  if (given.cancelled) for (const event of world.command(cancel)) emit(event, { reason: cancel.reason })
  await carry(under, fates, () => false)
  return world.end()
}

/** The fulfilment of `mesh/shop.ts` by commands. */
async function orchestrated(given: Given, fates: Iterator<Fate>) {
  const world = shop(given)
  const under: Message[] = []
  const course = courseOf(fulfil)
  const { charge, refund } = paymentCommands(world)
  let number = 0
  let nowMs = 0
  let saga = beginning(course, nowMs)
  const happen = (event: SagaEvent) => {
    const decision = decideSaga(course, saga, event)
    saga = decision.state
    for (const { step, does } of decision.commands) send(step, does)
  }
  type Told = { case: 'done' | 'refused' | 'undone' | undefined; value?: unknown }
  const reply = (step: string, told: Told) => {
    number += 1
    const event = (): SagaEvent => {
      if (told.case === 'undone') return { kind: 'undone', step, atMs: nowMs }
      if (told.case === 'done') return { kind: 'done', step, results: {}, atMs: nowMs }
      return { kind: 'refused', step, reason: String((told.value as { reason?: string }).reason), atMs: nowMs }
    }
    under.push({ id: `r${number}`, lane: '', prepare: async () => () => happen(event()) })
  }
  const facts = (events: readonly string[]) => {
    if (events.includes('OrderShipped')) world.mail('order-shipped')
    if (events.includes('OrderCancelled')) world.mail('order-cancelled')
  }
  const done: Told = { case: 'done' }
  const undone: Told = { case: 'undone' }
  const amount = { amount: total, orderId }
  const then = (run: () => unknown, told: Told) => async () => () => {
    run()
    return told
  }
  const participants: Record<string, () => Promise<() => Told | Promise<Told>>> = {
    'act reserve': async () => () => {
      const { ok, reason } = world.reserve(given.quantity)
      return ok ? done : { case: 'refused', value: { reason } }
    },
    'undo reserve': then(() => world.release(), undone),
    'act charge': async () => {
      const effect = await charge(create(ChargePaymentSchema, amount))
      return () => effect(tx)
    },
    'undo charge': async () => {
      const effect = await refund(create(RefundPaymentSchema, { orderId }))
      return () => effect(tx)
    },
    'act confirm': then(() => world.command({ kind: 'confirm' }), done),
    'undo place': then(() => facts(world.command({ kind: 'cancel', reason: saga.reason })), undone),
    'act ship': async () => () => {
      world.dispatch()
      facts(world.command({ kind: 'ship', trackingNumber: 't' }))
      return done
    },
    'act notify': then(() => world.mail('order-confirmed'), done),
  }
  const send = (step: string, does: 'act' | 'undo') => {
    number += 1
    const work = participants[`${does} ${step}`]
    if (!work) throw new Error(`Nobody does ${does} ${step}.`)
    const prepare = async () => {
      const effect = await work()
      return async () => reply(step, await effect())
    }
    under.push({ id: `c${number}`, lane: '', losable: true, prepare })
  }
  world.command({ ...place, fulfilment: Fulfilment.ORCHESTRATED })
  happen({ kind: 'started', atMs: nowMs })
  if (given.cancelled) happen({ kind: 'cancelled', reason: cancel.reason, atMs: nowMs })
  await carry(under, fates, () => {
    if (hasEnded(saga)) return false
    // Time passes, but not more than the saga has: that would be another input.
    nowMs = Math.max(
      nowMs,
      Math.min(dueAt(course, saga) ?? nowMs, fulfil.timeoutMs - 1 + (saga.status === 'running' ? 0 : 1e9)),
    )
    happen({ kind: 'due', atMs: nowMs })
    happen({ kind: 'retried', atMs: nowMs })
    return true
  })
  return world.end()
}

const place = {
  kind: 'place',
  orderId,
  customerId: 'c-1',
  items: [],
  total: { ...total, $typeName: 'parley.money.v1.Money' },
  paymentMethod: 'card',
  stockCheck: StockCheck.UNKNOWN,
  fulfilment: Fulfilment.CHOREOGRAPHED,
} as const satisfies OrderCommand
const cancel = { kind: 'cancel', reason: 'changed their mind' } as const

function reserved(
  { ok, reason, isNew }: ReturnType<Shop['reserve']>,
  emit: (event: string, said: object) => void,
): void {
  if (isNew) emit(ok ? 'StockReserved' : 'StockRejected', { reason })
}

function reasonOf(command: OrderCommand): string {
  return command.kind === 'cancel' ? command.reason : ''
}

function inTx(effect: ((of: AnyTx) => Promise<void>) | undefined): (() => Promise<void>) | undefined {
  return effect && (() => effect(tx))
}

const given = fc.record({
  quantity: fc.integer({ min: 1, max: 4 }),
  stock: fc.constantFrom(0, 3, 10),
  declined: fc.boolean(),
  cancelled: fc.boolean(),
})
const fate = fc.record({ pick: fc.nat(), crash: fc.boolean(), repeat: fc.boolean(), lost: fc.boolean() })
const fates = fc.array(fate, { maxLength: 60 })

test('both styles end in the same state for the same order, whatever becomes of their messages', async () => {
  await fc.assert(
    fc.asyncProperty(given, fates, fates, async (wanted, some, others) => {
      const [alone, led] = [await choreographed(wanted, some.values()), await orchestrated(wanted, others.values())]
      expect(led).toEqual(alone)
      const fine = !wanted.cancelled && wanted.quantity <= wanted.stock && !wanted.declined
      expect(alone).toMatchObject(
        fine
          ? { order: 'shipped', money: total.minorUnits, free: wanted.stock - wanted.quantity, parcels: 1 }
          : { order: 'cancelled', money: 0n, free: wanted.stock, parcels: 0 },
      )
    }),
    { numRuns: 1_000 },
  )
})

test('both styles have the same steps, point of no return and time', () => {
  const begun = fulfil.steps.slice(0, checkout.steps.length)
  expect(begun.map(({ name, service }) => `${name} ${service.name}`)).toEqual(
    checkout.steps.map(({ name, by }) => `${name} ${by.name}`),
  )
  expect(fulfil).toMatchObject({ pointOfNoReturn: checkout.pointOfNoReturn, timeoutMs: checkout.timeoutMs })
})
