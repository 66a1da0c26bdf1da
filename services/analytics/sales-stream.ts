import type { Transactions } from '#kit/messaging/handling.ts'
import { publisher } from '#kit/messaging/publisher.ts'
import { input, type Stream, stream } from '#kit/streaming/stream.ts'
import { orderEvents, orderFacts, paymentEvents, sales, shipmentEvents } from '#mesh/shop/messages.ts'
import { analytics } from '#mesh/shop.ts'
import { OrderFactSchema, SalesWindowSchema } from '#proto/parley/analytics/v1/facts_pb.ts'
import { type Fact, orderReactions, paymentReactions, publishedFact, shipmentReactions } from './facts.ts'
import { publishedWindow, salesWindows } from './sales.ts'

/** The stream of sales: facts of orders as they are decided, and the result of every minute. */
export function salesStream(database: Transactions): Stream {
  const publishFact = publisher(analytics, orderFacts)
  const publishSales = publisher(analytics, sales)
  return stream<Fact>(analytics, database, {
    name: 'sales',
    inputs: [
      input(analytics, orderEvents, orderReactions),
      input(analytics, paymentEvents, paymentReactions),
      input(analytics, shipmentEvents, shipmentReactions),
    ],
    windows: { of: [orderEvents], ...salesWindows },
    changed(tx, state, { at, id }) {
      const fact = publishedFact(at.key, state)
      if (fact) publishFact(tx, OrderFactSchema, fact, { id })
    },
    closed: (tx, window) => void publishSales(tx, SalesWindowSchema, publishedWindow(window), { id: window.id }),
  })
}
