import { PermanentFailure } from '#kit/messaging/dead-letter.ts'
import { sender } from '#kit/messaging/publisher.ts'
import { done, replying } from '#kit/saga/participant.ts'
import type { AnyTx, Tx } from '#kit/store/database.ts'
import { emails, fulfilmentReplies } from '#mesh/shop/messages.ts'
import { notifications } from '#mesh/shop.ts'
import type { CustomerRegistered } from '#proto/parley/customers/v1/events_pb.ts'
import type { Money } from '#proto/parley/money/v1/money_pb.ts'
import type { NotifyConfirmed } from '#proto/parley/notifications/v1/commands_pb.ts'
import { type SendEmail, SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import type { OrderCancelled, OrderConfirmed, OrderShipped } from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment } from '#proto/parley/orders/v1/orders_pb.ts'
import { type Email, NoSuchEmail, renderEmail } from './email.ts'
import type { Mailer } from './mailer.ts'
import { type NotificationsTables, rememberAddress } from './store.ts'

const send = sender(notifications, emails)

/** What the customer hears of: each becomes one task, named after the order and the text, however often it is asked for. */
export const orderNews = {
  OrderConfirmed: {
    // Who leads an order's fulfilment asks for this one itself.
    ignores: ({ fulfilment }: OrderConfirmed) => fulfilment === Fulfilment.ORCHESTRATED,
    handle: async ({ orderId, customerId, total }: OrderConfirmed, tx: AnyTx) =>
      ask(tx, orderId, customerId, 'order-confirmed', { total: formatted(total) }),
  },
  OrderShipped: async ({ orderId, customerId, trackingNumber }: OrderShipped, tx: AnyTx) => {
    ask(tx, orderId, customerId, 'order-shipped', { trackingNumber })
  },
  OrderCancelled: async ({ orderId, customerId, reason }: OrderCancelled, tx: AnyTx) => {
    ask(tx, orderId, customerId, 'order-cancelled', { reason })
  },
}

/** Whoever registers is written to from now on, and is welcomed. */
export const customerNews = {
  CustomerRegistered: async (
    { customerId, name, emailAddress }: CustomerRegistered,
    tx: Tx<NotificationsTables>,
  ): Promise<void> => {
    await rememberAddress(tx, customerId, emailAddress)
    const [template, emailId] = ['customer-welcome', `${customerId}.customer-welcome`]
    send(tx, SendEmailSchema, { emailId, customerId, template, parameters: { name } }, { id: emailId })
  },
}

/** What the leader of an order's fulfilment may tell notifications. */
export const commands = {
  NotifyConfirmed: replying(
    sender(notifications, fulfilmentReplies),
    async (command: NotifyConfirmed, tx: Tx<NotificationsTables>) => {
      const { orderId, customerId, total } = command
      ask(tx, orderId, customerId, 'order-confirmed', { total: formatted(total) })
      return done()
    },
  ),
}

/** Where a customer is written to; null where they have not registered. */
export type AddressOf = (customerId: string) => Promise<string | null>

/**
 * Sends one e-mail; all that is left is the note that it was. A crash in between sends a second copy,
 * under the same Message-ID. A task of which no e-mail can be made can never be done, so it is not tried again.
 */
export async function deliver(task: SendEmail, mailer: Mailer, addressOf: AddressOf): Promise<undefined> {
  // Somebody may order without having registered.
  const address = (await addressOf(task.customerId)) ?? `${task.customerId}@customers.example`
  await mailer.send(rendered(task, address))
}

function rendered(task: SendEmail, to: string): Email {
  try {
    return renderEmail(task, to)
  } catch (thrown) {
    throw thrown instanceof NoSuchEmail ? new PermanentFailure(thrown.message) : thrown
  }
}

function ask(
  tx: AnyTx,
  orderId: string,
  customerId: string,
  template: string,
  parameters: Record<string, string>,
): void {
  const emailId = `${orderId}.${template}`
  send(tx, SendEmailSchema, { emailId, orderId, customerId, template, parameters }, { id: emailId })
}

function formatted(money: Money | undefined): string {
  if (!money) return 'nothing'
  const digits = money.minorUnits.toString().padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)} ${money.currency}`
}
