import { randomUUID } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import { invalidArgument, isServiceError, ServiceError } from '#kit/errors.ts'
import type { Database } from '#kit/store/database.ts'
import { violates } from '#kit/store/errors.ts'
import type { LineAvailability } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { MoneySchema } from '#proto/parley/money/v1/money_pb.ts'
import {
  type CreateOrderRequest,
  Fulfilment,
  type Order,
  type OrderItem,
  OrderItemSchema,
  StockCheck,
} from '#proto/parley/orders/v1/orders_pb.ts'
import { requestHash, unknownProducts, validate } from './request.ts'
import { findRequest, type KnownRequest, type OrdersTables, placeOrder, readPrices, rememberRequest } from './store.ts'
import { orderView, showOrder } from './view.ts'

type Prices = Awaited<ReturnType<typeof readPrices>>

/** Asks inventory. Rejects with a transient error where it cannot be had. */
export type AskStock = (
  lines: readonly { productId: string; quantity: number }[],
) => Promise<readonly LineAvailability[]>

/**
 * Places an order. The same key of the same customer gives the same order; with other contents it is refused with
 * `idempotency-key-reused`. Unknown products are `invalid-argument`, too little stock is `failed-precondition`.
 */
export async function place(
  request: CreateOrderRequest,
  database: Database<OrdersTables>,
  askStock: AskStock,
): Promise<{ order: Order; replayed: boolean }> {
  validate(request)
  const { customerId, idempotencyKey } = request
  const hash = requestHash(request)
  const productIds = request.lines.map(({ productId }) => productId)
  // None of the three changes anything, so they are asked at once: it is the customer who waits.
  const asked = askOrFallBack(request.lines, askStock)
  // A repeat does not hang on what inventory says now, so its failure is met below.
  asked.catch(() => undefined)
  const [known, prices] = await Promise.all([
    findRequest(database.db, customerId, idempotencyKey),
    readPrices(database.db, productIds),
  ])
  if (known) return replay(database, known, hash)
  const items = priced(request, prices)
  const stockCheck = checked(request, await asked)
  const orderId = randomUUID()
  const paymentMethod = request.paymentMethod || 'card'
  const fulfilment = request.fulfilment || Fulfilment.CHOREOGRAPHED
  const total = totalOf(items)
  const order = { kind: 'place', orderId, customerId, items, total, paymentMethod, stockCheck, fulfilment } as const
  try {
    const placed = await placeOrder(database, order, (tx) =>
      rememberRequest(tx, customerId, idempotencyKey, { orderId, requestHash: hash }),
    )
    return { order: orderView(orderId, placed), replayed: false }
  } catch (error) {
    if (!violates(error, 'idempotency_pkey')) throw error
    // A request with the same key was placed since we looked. Nothing of ours was written.
    const first = await findRequest(database.db, customerId, idempotencyKey)
    if (!first) throw error
    return replay(database, first, hash)
  }
}

async function replay(
  database: Database<OrdersTables>,
  known: KnownRequest,
  hash: string,
): Promise<{ order: Order; replayed: boolean }> {
  if (known.requestHash !== hash) {
    throw new ServiceError(
      'idempotency-key-reused',
      'This idempotency key stands for an order with other contents; use a new one',
    )
  }
  return { order: await showOrder(database, known.orderId), replayed: true }
}

function priced(request: CreateOrderRequest, prices: Prices): OrderItem[] {
  const unknown = unknownProducts(request, prices)
  if (unknown.length > 0) throw invalidArgument('The order names products that nobody sells', ...unknown)
  return request.lines.map(({ productId, quantity }) => {
    const unitPrice = prices.get(productId)
    return create(OrderItemSchema, { productId, quantity, ...(unitPrice && { unitPrice }) })
  })
}

/** The declared fallback: null where inventory cannot be asked. The order is accepted then, and the reservation decides. */
async function askOrFallBack(
  lines: CreateOrderRequest['lines'],
  askStock: AskStock,
): Promise<readonly LineAvailability[] | null> {
  try {
    return await askStock(lines)
  } catch (error) {
    if (isServiceError(error, 'unavailable', 'deadline-exceeded', 'overloaded')) return null
    throw error
  }
}

function checked({ lines }: CreateOrderRequest, stock: readonly LineAvailability[] | null): StockCheck {
  if (!stock) return StockCheck.UNKNOWN
  const short = stock.findIndex(({ sufficient }) => !sufficient)
  if (short === -1) return StockCheck.AVAILABLE
  const message = `There is not enough of ${lines[short]?.productId} left`
  throw new ServiceError('failed-precondition', message, {
    violations: [{ field: `lines[${short}].quantity`, code: 'out-of-stock', message }],
  })
}

function totalOf(items: readonly OrderItem[]) {
  const minorUnits = items.reduce(
    (sum, { quantity, unitPrice }) => sum + BigInt(quantity) * (unitPrice?.minorUnits ?? 0n),
    0n,
  )
  return create(MoneySchema, { currency: items[0]?.unitPrice?.currency ?? 'EUR', minorUnits })
}
