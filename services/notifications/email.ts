import type { SendEmail } from '#proto/parley/notifications/v1/tasks_pb.ts'

/** An e-mail, ready to be sent. */
export type Email = {
  readonly messageId: string
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly text: string
}

type Template = {
  /** The parameters without which there is no e-mail: a customer never reads "undefined". */
  readonly needs: readonly string[]
  readonly subject: (p: Parameters) => string
  readonly text: (p: Parameters) => string
}
type Parameters = Readonly<Record<string, string>>

const templates: Readonly<Record<string, Template>> = {
  'order-confirmed': {
    needs: ['total'],
    subject: ({ orderId }) => `Your order ${orderId} is confirmed`,
    text: ({ total }) => `Thank you. Your payment of ${total} has arrived, and we are packing your parcel.`,
  },
  'order-shipped': {
    needs: ['trackingNumber'],
    subject: ({ orderId }) => `Your order ${orderId} is on its way`,
    text: ({ trackingNumber }) => `Your parcel has left. Its tracking number is ${trackingNumber}.`,
  },
  'order-cancelled': {
    needs: ['reason'],
    subject: ({ orderId }) => `Your order ${orderId} was cancelled`,
    text: ({ reason }) =>
      `We are sorry: your order was cancelled (${reason}). You have not been charged, or you have your money back.`,
  },
  'customer-welcome': {
    needs: ['name'],
    subject: () => 'Welcome to the shop',
    text: ({ name }) =>
      `Dear ${name},\n\nyou are registered with this address now. If that was not you, do nothing: we write about orders alone.`,
  },
}

/** Why no e-mail can ever be made of a task. */
export class NoSuchEmail extends Error {
  override readonly name = 'NoSuchEmail'
}

/**
 * The e-mail that a task asks for, to this address. A line break cannot get into a header.
 * @throws NoSuchEmail where there is no such template, or a parameter of it is missing
 */
export function renderEmail(task: SendEmail, to: string): Email {
  const template = Object.hasOwn(templates, task.template) ? templates[task.template] : undefined
  if (!template) throw new NoSuchEmail(`There is no template ${task.template.slice(0, 50)}`)
  const missing = template.needs.filter((name) => !Object.hasOwn(task.parameters, name))
  if (missing.length > 0) throw new NoSuchEmail(`The template ${task.template} needs ${missing.join(', ')}`)
  const parameters = { ...task.parameters, orderId: task.orderId }
  return {
    messageId: `<${task.emailId}@shop.example>`,
    from: 'shop@shop.example',
    to,
    subject: template.subject(parameters).replace(/[\r\n]+/g, ' '),
    text: `${template.text(parameters)}\n${task.orderId && `\nOrder ${task.orderId}\n`}`,
  }
}
