import { emailsAbout, orderIn, placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'

/** A queue of tasks: the e-mails of an order wait in RabbitMQ for whichever worker has time. */
export const messageQueueRow: Row = {
  number: 5,
  name: 'message-queue',
  pattern: 'Message queue: the e-mails of an order',
  services: ['gateway', 'orders', 'notifications'],
  async walk(visit) {
    const { orderId } = await placeOrder(visit, { customerId: `c-${visit.token}` })
    await orderIn(visit, orderId, 'shipped')
    const emails = await emailsAbout(visit, orderId, 2)
    const subjects = emails.map(({ subject }) => subject.replace(orderId, 'ID')).sort()
    const wanted = ['Your order ID is confirmed', 'Your order ID is on its way']
    must(subjects.join() === wanted.join(), `The e-mails are: ${subjects.join(', ')}`)
  },
  inspect(spans) {
    const tasks = (kind: string) =>
      spans.filter((span) => span.kind === kind && span.tags?.['messaging.destination.name'] === 'emails')
    const [sent, worked] = [tasks('PRODUCER').length, tasks('CONSUMER').length]
    must(sent === 2 && worked === 2, `${sent} tasks were sent and ${worked} worked, instead of two each`)
    return `${sent} tasks sent to the queue emails, ${worked} worked`
  },
}
