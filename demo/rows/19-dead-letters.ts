import { type Letter, listLetters, type Outcome, replayNamed } from '#mesh/cli/dead-letters.ts'
import { emailsAbout, orderIn, placeOrder } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

/** Dead letters: what cannot be handled waits with its reason, and is replayed with one effect once its cause is mended. */
export const deadLettersRow: Row = {
  number: 19,
  name: 'dead-letters',
  pattern: 'Dead letters: kept with the reason, replayed with one effect',
  services: ['gateway', 'orders', 'notifications'],
  async walk(visit) {
    const customerId = `c-${visit.token}`
    const mailbox = `${visit.shop.pageOf('mail')}/api/refused/${customerId}@customers.example`
    const turn = (verb: string) => fetch(mailbox, { method: verb, signal: AbortSignal.timeout(5_000) })
    visit.afterwards(() => turn('DELETE'))
    await visit.show(
      `PUT ${mailbox}`,
      () => turn('PUT'),
      () => 'the customer’s mail server refuses every e-mail',
    )

    const { orderId } = await placeOrder(visit, { customerId })
    await orderIn(visit, orderId, 'shipped')
    const letters = await visit.show(
      'bin/parley dlq list notifications',
      () =>
        visit.until(
          'The e-mails did not become dead letters',
          () => waiting(visit, orderId),
          ({ length }) => length === 2,
        ),
      (found) =>
        `${found.map(({ number, code }) => `notifications/${number} ${code}`).join(', ')}: ${shortly(found[0]?.reason)}`,
    )
    const ids = letters.map(({ number }) => `notifications/${number}`)
    const early = await replayed(visit, ids[0] ?? '')
    must(early.join() === 'failed', `A replay before the cause was mended was ${early.join(', ')}`)

    await visit.show(
      `DELETE ${mailbox}`,
      () => turn('DELETE'),
      () => 'it takes e-mails again',
    )
    const twice = await visit.show(
      `bin/parley dlq replay ${ids.join(' ')}, by two people at once`,
      () => Promise.all([...ids, ...ids].map((id) => replayed(visit, id, false))),
      (outcomes) => outcomes.flat().join(', '),
    )
    const handled = twice.flat().filter((outcome) => outcome === 'handled')
    must(handled.length === 2, `${handled.length} of 2 were handled`)
    const emails = await emailsAbout(visit, orderId, 2)
    must(emails.length === 2, `${emails.length} e-mails arrived instead of 2`)
    must((await waiting(visit, orderId)).length === 0, 'Dead letters still wait that were replayed')
  },
}

/** A reason without the e-mail's id, which is long. */
function shortly(reason = ''): string {
  return reason.replaceAll(/<[^>]*>/g, 'it')
}

async function waiting(visit: Visit, orderId: string): Promise<readonly Letter[]> {
  const { letters } = await listLetters(await visit.shop.admins(), { service: 'notifications', destination: 'emails' })
  return letters.filter(({ eventId }) => eventId.startsWith(orderId))
}

/** What came of it, letter by letter; `too late` where somebody else was first. */
async function replayed(visit: Visit, id: string, shown = true): Promise<readonly string[]> {
  const outcomes: Outcome[] = []
  const replay = async () => {
    await replayNamed(await visit.shop.admins(), [id], (outcome) => outcomes.push(outcome))
    return outcomes
  }
  if (shown) {
    await visit.show(`bin/parley dlq replay ${id}`, replay, ([first]) => `${first?.outcome}: ${shortly(first?.reason)}`)
    return outcomes.map(({ outcome }) => outcome)
  }
  const found = await replay().catch((error: Error) => error)
  return found instanceof Error ? [`too late (${found.message})`] : found.map(({ outcome }) => outcome)
}
