/**
 * A leader in a process of its own, for tests that kill it. It is given one thing to decide on, and ends itself, as a crash
 * would: right before that decision is committed, or right after, when nobody has been told.
 */
import { create, fromBinary } from '@bufbuild/protobuf'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { StepReplySchema } from '#proto/parley/saga/v1/saga_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import type { Transactions } from '../messaging/handling.ts'
import { openDatabase } from '../store/database.ts'
import { deliverReply, leader, sagasOn } from './saga-fixture.ts'

type Given = {
  readonly postgres: PostgresConfiguration
  readonly when: 'before the commit' | 'after the commit'
  /** A saga to start, or a reply (protobuf in base64) with its message's id. */
  readonly what: { readonly start: string } | { readonly reply: string; readonly id: string }
}
const { postgres, when, what } = JSON.parse(process.argv[2] ?? '{}') as Given

const database = openDatabase(testApp(leader, { postgres }))
const die = () => void process.kill(process.pid, 'SIGKILL')
const deadly: Transactions = {
  ...database,
  transaction: (run) =>
    database.transaction(async (tx) => {
      const result = await run(tx)
      // The decision is written by then; its commands go into the outbox with the commit itself.
      if (when === 'before the commit') die()
      else tx.afterCommit(die)
      return result
    }),
}
const sagas = sagasOn(deadly)
if ('start' in what) {
  const placed = create(OrderPlacedSchema, { orderId: what.start })
  await deadly.transaction((tx) => sagas.start(tx, what.start, placed))
} else {
  await deliverReply(deadly, sagas, fromBinary(StepReplySchema, Buffer.from(what.reply, 'base64')), what.id)
}
