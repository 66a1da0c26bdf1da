import type { SendEmail } from '#proto/parley/notifications/v1/tasks_pb.ts'

/** An e-mail, ready to be sent. */
export type Email = {
  readonly messageId: string
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly text: string
}

type Template = { readonly subject: (p: Parameters) => string; readonly text: (p: Parameters) => string }
type Parameters = Readonly<Record<string, string>>

const templates: Readonly<Record<string, Template>> = {
  'order-confirmed': {
    subject: ({ orderId }) => `Your order ${orderId} is confirmed`,
    text: ({ total }) => `Thank you. Your payment of ${total} has arrived, and we are packing your parcel.`,
  },
  'order-shipped': {
    subject: ({ orderId }) => `Your order ${orderId} is on its way`,
    text: ({ trackingNumber }) => `Your parcel has left. Its tracking number is ${trackingNumber}.`,
  },
  'order-cancelled': {
    subject: ({ orderId }) => `Your order ${orderId} was cancelled`,
    text: ({ reason }) =>
      `We are sorry: your order was cancelled (${reason}). You have not been charged, or you have your money back.`,
  },
}

/** The e-mail that a task asks for; null where no such template exists. A line break cannot get into a header. */
export function renderEmail(task: SendEmail): Email | null {
  const template = templates[task.template]
  if (!template) return null
  const parameters = { ...task.parameters, orderId: task.orderId }
  return {
    messageId: `<${task.emailId}@shop.example>`,
    from: 'shop@shop.example',
    to: `${task.customerId}@customers.example`,
    subject: template.subject(parameters).replace(/[\r\n]+/g, ' '),
    text: `${template.text(parameters)}\n\nOrder ${task.orderId}\n`,
  }
}
