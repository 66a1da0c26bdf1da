import { type AnyTx, statement } from './database.ts'
import type { Reader } from './event-store.ts'

/** How an aggregate's state is kept beside its events. */
export type Snapshots<S> = {
  /** A snapshot is written with the event that reaches or passes a multiple of this. */
  readonly everyEvents: number
  /** Of the state's form: raise it whenever `evolve` or the bytes change, and older snapshots are ignored. */
  readonly form: number
  readonly write: (state: S) => Uint8Array
  readonly read: (bytes: Uint8Array) => S
}

/** The newest snapshot of a stream that this code understands, if there is one. */
export async function readSnapshot<S>(
  from: Reader,
  { form, read }: Snapshots<S>,
  streamId: string,
): Promise<{ readonly state: S; readonly version: number } | undefined> {
  const [row] = await from.query<{ version: number; state: Buffer }>(select, [streamId, form])
  return row && { state: read(row.state), version: row.version }
}

/** Keeps the state where it is due: in the transaction of the events, so that a snapshot is never ahead of them. */
export async function writeSnapshot<S>(
  tx: AnyTx,
  { form, everyEvents, write }: Snapshots<S>,
  streamId: string,
  versionBefore: number,
  { state, version }: { readonly state: S; readonly version: number },
): Promise<void> {
  if (Math.floor(version / everyEvents) === Math.floor(versionBefore / everyEvents)) return
  await tx.query(upsert, [streamId, version, form, Buffer.from(write(state))])
}

const select = statement('select version, state from kit.snapshots where stream_id = $1 and form = $2')
const upsert = statement(`
  insert into kit.snapshots (stream_id, version, form, state) values ($1, $2, $3, $4)
  on conflict (stream_id) do update set version = excluded.version, form = excluded.form, state = excluded.state`)
