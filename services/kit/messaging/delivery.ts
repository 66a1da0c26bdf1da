import type { Batch, HandleContext, IncomingRecord } from '../kafka/port.ts'
import { StoreUnavailable } from '../store/errors.ts'
import type { Log } from '../telemetry/log.ts'
import { attribute } from '../telemetry/semantics.ts'
import { buryRecord, reportBurial } from './burial.ts'
import type { Consumer } from './consumer.ts'
import { type DeadLetterReason, isPermanent, reasonOf } from './dead-letter.ts'
import { decodeEnvelope } from './envelope.ts'
import { readMessage } from './handlers.ts'
import { type Delivery, handleOnce, handleTogether, type Transactions } from './handling.ts'
import { claim, countAttempt, forgetAttempts, giveAttemptBack, holdParked, park } from './inbox.ts'
import { keyProblem, storedKey } from './storable.ts'

/** What a group of a service's consumers works with. */
export type Group = {
  readonly group: string
  readonly consumers: ReadonlyMap<string, Consumer>
  readonly database: Transactions
  readonly log: Log
}

/** Keys of a batch whose calls to the outside may be under way at once. */
const preparedAtOnceMax = 8
/**
 * Of what lies in a partition when it is assigned, so many records are counted before they are handled: their last owner may
 * have died of one of them. All others are counted when they fail, so that the usual case costs nothing; should one of
 * them end the process, it lies among the first of the next owner, or behind a postponed record that does: that one is
 * counted in every life, so its attempts are used up first.
 */
const suspectsMax = 200n

/** What is known of a partition for as long as it is assigned. */
type Assignment = {
  /** Its suspects lie before this offset. */
  readonly suspectsEnd: bigint
  /** Attempts that were counted, say nothing about their record, and could not be given back: the next attempt takes them. */
  readonly owed: Map<string, number>
}

/** A record that is not skipped. */
type Item = {
  readonly record: IncomingRecord
  readonly consumer: Consumer
  readonly partition: number
  /** What the inbox knows it by; a record without a readable id is known by its place. */
  readonly id: string
} & ({ readonly delivery: Delivery } | { readonly poison: DeadLetterReason })

/** Handles batches of a group's partitions: see `consumer` for what is promised. */
export function deliverTo(group: Group): (batch: Batch, context: HandleContext) => Promise<void> {
  // Each assignment of a partition has a signal of its own.
  const assignments = new WeakMap<AbortSignal, Assignment>()
  return async (batch, context) => {
    const begin = batch.records[0]?.offset ?? 0n
    const assignment = assignments.get(context.signal) ?? {
      suspectsEnd: least(batch.highWatermark, begin + suspectsMax),
      owed: new Map(),
    }
    assignments.set(context.signal, assignment)
    const items = batch.records.map((record) => read(group, batch, record)).filter((item) => item !== undefined)
    const owed = begin < assignment.suspectsEnd ? assignment.owed : undefined
    if (!owed && context.attempt === 1 && (await together(group, items, context.signal))) return
    await byKey(group, items, context, owed)
  }
}

function read(group: Group, { topic, partition }: Batch, record: IncomingRecord): Item | undefined {
  const consumer = group.consumers.get(topic)
  if (!consumer) return undefined
  const envelope = decodeEnvelope(record.headers, 'kafka')
  const readable = readMessage(envelope, record.value, consumer.handlers)
  const place = `${topic}/${partition}/${record.offset}`
  const id = envelope.ok ? envelope.value.id : place
  if (!readable.ok) {
    const poison = { code: readable.code, message: readable.reason, exception: '', attempts: 0 }
    return { record, consumer, partition, id, poison }
  }
  if (!readable.value || readable.value.handler.ignores?.(readable.value.message)) return undefined
  const message = consumer.topic.key === null ? undefined : keyProblem(record.key)
  if (message !== undefined) {
    const poison = { code: 'PERMANENT', message, exception: '', attempts: 0 } as const
    return { record, consumer, partition, id, poison }
  }
  const delivery: Delivery = {
    ...readable.value,
    system: 'kafka',
    consumer: group.group,
    destination: topic,
    key: consumer.topic.key === null ? '' : record.key,
    headers: record.headers,
    attributes: {
      [attribute.messagingPartition]: String(partition),
      [attribute.messagingKafkaOffset]: Number(record.offset),
      [attribute.messagingKafkaKey]: record.key,
    },
  }
  return { record, consumer, partition, id, delivery }
}

/** The fast way: one transaction for the whole batch. False, with nothing written, where the batch has to go one by one. */
async function together(group: Group, items: readonly Item[], signal: AbortSignal): Promise<boolean> {
  if (items.length === 0) return true
  const deliveries = items.flatMap((item) =>
    'delivery' in item && !item.delivery.handler.prepare ? item.delivery : [],
  )
  if (items.length < 2 || deliveries.length < items.length) return false
  try {
    return (await handleTogether(group.database, deliveries, signal)) !== null
  } catch (thrown) {
    if (thrown instanceof StoreUnavailable || signal.aborted) throw thrown
    // One of them failed. Each by itself, it shows which, and the others have their effect.
    return false
  }
}

/**
 * Every key by itself, each in its order. A key that fails is postponed and does not keep the others from their effects;
 * where the store or the partition is gone, all that is left is.
 */
async function byKey(group: Group, items: readonly Item[], context: HandleContext, owed: Owed): Promise<void> {
  const unsettled = new Set(items)
  const failed: { readonly chain: readonly Item[]; readonly cause: unknown }[] = []
  let ended: unknown
  const chains = [...Map.groupBy(items, chainOf).values()]
  const first = items[0]
  const work = async () => {
    for (let chain = chains.shift(); chain; chain = chains.shift()) {
      try {
        for (const item of chain) {
          if (context.signal.aborted) return
          await settle(group, item, context.signal, owed, item === first ? context.attempt : 1)
          unsettled.delete(item)
        }
      } catch (thrown) {
        failed.push({ chain, cause: thrown })
        if (!(thrown instanceof StoreUnavailable)) continue
        ended ??= thrown
        return
      }
    }
  }
  const preparing = items.some((item) => 'delivery' in item && item.delivery.handler.prepare)
  await Promise.all(Array.from({ length: preparing ? preparedAtOnceMax : 1 }, work))
  const [left] = unsettled
  if (!left) return
  if (context.signal.aborted || ended !== undefined) {
    context.done(left.record.offset - 1n)
    throw ended ?? new Error('The partition was taken away.')
  }
  for (const { chain, cause } of failed) {
    const offsets = chain.filter((item) => unsettled.has(item)).map(({ record }) => record.offset)
    context.postpone(offsets, cause)
  }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function chainOf({ record, consumer }: Item): unknown {
  return record.key === '' || consumer.topic.key === null ? record : record.key
}

/** Brings one record to its end: an effect, or a dead letter. Throws where it has to be tried again. */
async function settle(group: Group, item: Item, signal: AbortSignal, owed: Owed, attemptHere: number): Promise<void> {
  if ('poison' in item) return void (await bury(group, item, item.poison))
  const { attempts: attemptsMax } = item.consumer.policy.redelivery
  const counted = owed && (owed.get(item.id) ?? (await countAttempt(group.database, group.group, item.id, unfinished)))
  if (counted !== undefined && counted > attemptsMax) {
    return void (await bury(group, item, reasonOf(new Error(unfinished), attemptsMax)))
  }
  try {
    const handled = await handleOnce(group.database, item.delivery, counted ?? attemptHere, signal)
    owed?.delete(item.id)
    if (handled.outcome === 'repeat' && owed) await group.database.transaction((tx) => forget(tx, group, item))
    if (handled.outcome !== 'parked') return
    const message = `behind ${handled.behind}`
    if (await bury(group, item, { code: 'BEHIND', message, exception: '', attempts: 0 })) return
    if (counted !== undefined) await giveBack(group, item, counted, owed)
  } catch (thrown) {
    if (thrown instanceof StoreUnavailable || signal.aborted) {
      if (counted !== undefined) await giveBack(group, item, counted, owed)
      throw thrown
    }
    owed?.delete(item.id)
    const attempts = counted ?? (await countAttempt(group.database, group.group, item.id, String(thrown)))
    if (!isPermanent(thrown) && attempts < attemptsMax) throw thrown
    return void (await bury(group, item, reasonOf(thrown, attempts)))
  }
  // Meanwhile the last dead letter of its key was settled, so it is its turn.
  return settle(group, item, signal, owed, attemptHere)
}

/** For suspects, the attempts that are counted already; undefined for all others, which are not counted beforehand. */
type Owed = Assignment['owed'] | undefined

/** An attempt that the store or a rebalance ended says nothing about the message: only a crash may leave it counted. */
async function giveBack(group: Group, { id }: Item, counted: number, owed: Owed): Promise<void> {
  try {
    await giveAttemptBack(group.database, group.group, id)
    owed?.delete(id)
  } catch (error) {
    group.log.debug('An attempt could not be given back; the next one takes its place.', { id, error })
    owed?.set(id, counted)
  }
}

const unfinished = 'The process ended while it handled this message.'

function forget(tx: Parameters<typeof forgetAttempts>[0], group: Group, { id }: Item): Promise<void> {
  return forgetAttempts(tx, group.group, id)
}

/**
 * Makes a dead letter of a record, in one transaction with the note that the record is settled and that its key is parked: durable
 * before the offset is committed, and written once. False, with nothing written, for one that is no longer behind another.
 */
async function bury(group: Group, item: Item, reason: DeadLetterReason): Promise<boolean> {
  const { record, consumer, partition, id } = item
  const { topic, policy } = consumer
  const key = topic.key === null ? '' : storedKey(record.key)
  const burial = { group: group.group, topic: topic.name, partition, record, id, key, reason }
  const outcome = await group.database.transaction(async (tx) => {
    if (reason.code === 'BEHIND' && !(await holdParked(tx, group.group, topic.name, key))) return 'free'
    const { fresh } = await claim(tx, { consumer: group.group, topic: topic.name, ids: [id], keys: [] }, 'dead')
    if (fresh.size === 0) return 'repeat'
    if (!policy.deadLetter) return 'buried'
    if (key !== '') await park(tx, group.group, topic.name, key, id)
    await buryRecord(tx, burial)
    return 'buried'
  })
  if (outcome === 'buried') reportBurial(group.log, burial)
  return outcome !== 'free'
}
