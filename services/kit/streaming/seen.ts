/**
 * Which events a generation has had. Offsets tell a repeat of a record; a producer that crashes before it has noted what it sent
 * sends that once more, as another record of the same event. They are in the kit's inbox, each generation a consumer of its own.
 */
import { claim, reclaim } from '../messaging/inbox.ts'
import { type AnyTx, statement } from '../store/database.ts'
import type { StreamParts } from './stream.ts'

type Of = Pick<StreamParts, 'group'>

/** The events that a generation has not had, each once; from this transaction on it has. */
export async function takeUnseen<E extends { readonly id: string }>(
  tx: AnyTx,
  stream: Of,
  generation: number,
  topic: string,
  events: readonly E[],
): Promise<readonly E[]> {
  if (events.length === 0) return events
  const ids = events.map(({ id }) => id)
  const { fresh } = await claim(tx, { consumer: consumerOf(stream, generation), topic, ids, keys: [] })
  const left = new Set(fresh)
  return events.filter(({ id }) => left.delete(id))
}

const markDead = statement(`update kit.inbox set outcome = 'dead' where consumer = $1 and event_id = any($2::text[])`)

/** Events that had no effect: one that comes once more has none either, and their dead letter may still have it. */
export function markFailed(tx: AnyTx, stream: Of, generation: number, ids: readonly string[]): void {
  if (ids.length > 0) tx.lastly(markDead, () => [consumerOf(stream, generation), ids])
}

/** Takes an event that was a dead letter; false where a generation has had it, as one that a replay filled with mended code. */
export function takeLetter(tx: AnyTx, stream: Of, generation: number, id: string): Promise<boolean> {
  return reclaim(tx, consumerOf(stream, generation), id)
}

const deleteLetters = statement('delete from kit.inbox where consumer = $1 and event_id = any($2::text[])')

/** Events that are dead letters again, though they were replayed before: nobody is to take them for handled. */
export async function forgetLetters(tx: AnyTx, { group }: Of, ids: readonly string[]): Promise<void> {
  await tx.query(deleteLetters, [group, ids])
}

const selectHandled = statement(`
  select event_id as id from kit.inbox where consumer = $1 and event_id = any($2::text[]) and outcome = 'handled'`)

/** Those of some events that a generation has had, with their effect. */
export async function handledBy(
  tx: AnyTx,
  stream: Of,
  generation: number,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set()
  const rows = await tx.query<{ id: string }>(selectHandled, [consumerOf(stream, generation), ids])
  return new Set(rows.map(({ id }) => id))
}

const carry = statement(`
  update kit.inbox as before set consumer = $2
  where consumer = $1 and not exists (select from kit.inbox as mine where mine.consumer = $2 and mine.event_id = before.event_id)`)

/** What one generation has had, another that takes its state over has had as well. */
export async function carrySeen(tx: AnyTx, stream: Of, from: number, to: number): Promise<void> {
  await tx.query(carry, [consumerOf(stream, from), consumerOf(stream, to)])
}

/** What the inbox knows a generation by. */
export function consumerOf({ group }: Of, generation: number): string {
  return `${group} ${generation}`
}
