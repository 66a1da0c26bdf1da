import { correlationId } from '../context.ts'
import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import { injectTrace } from '../telemetry/telemetry.ts'
import { beginning, dueAt, type SagaCommand, type SagaEvent } from './decide.ts'
import { hasEnded, type SagaCourse, type SagaState, type SagaStatus } from './state.ts'

/** A saga that is locked for one decision. */
export type LockedSaga = {
  /** Now, by the clock of the database: replicas may have different ones, and one may decide on the times of another. */
  readonly atMs: number
  readonly state: SagaState
  readonly input: Buffer
  readonly correlationId: string
  readonly traceparent: string | null
}

type SagaRow = {
  readonly at_ms: number
  readonly state: SagaState
  readonly input: Buffer
  readonly correlation_id: string
  readonly traceparent: string | null
}

// Of the moment at which a row is had; what an index is asked by must be the same for all rows, so that is the statement's time.
const atMs = 'floor(extract(epoch from clock_timestamp()) * 1000)::float8 as at_ms'
// The state comes with the first decision, which is a part of the same transaction.
const insertSaga = statement(`
  insert into kit.sagas (saga, saga_id, status, stuck, state, input, correlation_id, traceparent, started_at)
  values ($1, $2, 'running', '', '{}', $3, $4, $5, clock_timestamp()) on conflict do nothing returning ${atMs}`)

/** Writes a new saga; null where it is there already. */
export async function insert(tx: AnyTx, course: SagaCourse, sagaId: string, input: Buffer): Promise<LockedSaga | null> {
  const traceparent = injectTrace({}).traceparent ?? null
  const id = correlationId()
  const values = [course.name, sagaId, input, id, traceparent]
  const [row] = await tx.query<Pick<SagaRow, 'at_ms'>>(insertSaga, values)
  return row ? { atMs: row.at_ms, state: beginning(course, row.at_ms), input, correlationId: id, traceparent } : null
}

const selectSaga = statement(`
  select state, input, correlation_id, traceparent, ${atMs} from kit.sagas
  where saga = $1 and saga_id = $2 for update`)

/** Takes a saga for this transaction; whoever else wants it waits. Null where there is none. */
export async function lock(tx: AnyTx, course: SagaCourse, sagaId: string): Promise<LockedSaga | null> {
  return locked(course, await tx.query<SagaRow>(selectSaga, [course.name, sagaId]))
}

// Another replica that looks at the same time has the row locked, and has moved `due_at` on once it lets go of it.
const selectDueSaga = statement(`
  select state, input, correlation_id, traceparent, ${atMs} from kit.sagas
  where saga = $1 and saga_id = $2 and due_at <= statement_timestamp() for update skip locked`)

/** As `lock`, but only a saga that is due, and that nobody else is at. */
export async function lockDue(tx: AnyTx, course: SagaCourse, sagaId: string): Promise<LockedSaga | null> {
  return locked(course, await tx.query<SagaRow>(selectDueSaga, [course.name, sagaId]))
}

function locked(course: SagaCourse, [row]: readonly SagaRow[]): LockedSaga | null {
  if (!row) return null
  // A step that the declaration has gained since has not been asked for.
  const { steps } = beginning(course, row.state.startedMs)
  const state = { ...row.state, steps: { ...steps, ...row.state.steps } }
  return { atMs: row.at_ms, state, input: row.input, correlationId: row.correlation_id, traceparent: row.traceparent }
}

/** So many lines may repeat what the log says already: one of a saga that waits for days would have no end. */
const repeatsUpTo = 30

const updateSaga = statement(`
  with changed as (
    update kit.sagas set status = $3, stuck = $4, state = $5, due_at = $6, ended_at = coalesce(ended_at, $7)
    where saga = $1 and saga_id = $2
    returning saga, saga_id, (select count(*) + 1 from kit.saga_log where saga = $1 and saga_id = $2) as number
  )
  insert into kit.saga_log (saga, saga_id, number, at, event, commands)
  select saga, saga_id, number, $8, $9, $10 from changed where not $11 or number <= ${repeatsUpTo}`)

/** What a decision was made on, and what came of it. */
export type Decided = {
  readonly sagaId: string
  readonly event: SagaEvent
  readonly state: SagaState
  readonly commands: readonly SagaCommand[]
  /** It changes nothing but the time of the next attempt. */
  readonly repeats: boolean
}

/** Writes a decision and its log. */
export async function update(
  tx: AnyTx,
  course: SagaCourse,
  { sagaId, event, state, commands, repeats }: Decided,
): Promise<void> {
  const dueMs = dueAt(course, state)
  const { atMs, ...told } = event
  const at = new Date(atMs)
  await tx.query(updateSaga, [
    course.name,
    sagaId,
    state.status,
    state.stuck,
    JSON.stringify(state),
    dueMs === null ? null : new Date(dueMs),
    hasEnded(state) ? at : null,
    at,
    JSON.stringify(told),
    commands.map(({ step, does, attempt }) => `${does} ${step}${attempt > 1 ? ` (attempt ${attempt})` : ''}`),
    repeats,
  ])
}

const selectDue = statement(`
  select saga_id, correlation_id, traceparent from kit.sagas where saga = $1 and due_at <= statement_timestamp()
  order by due_at limit $2`)

/** A saga that somebody has to look at. */
export type DueSaga = { readonly saga_id: string; readonly correlation_id: string; readonly traceparent: string | null }

/** Sagas whose time has come, the longest due first. */
export async function due(database: AnyDatabase, saga: string, limit: number): Promise<readonly DueSaga[]> {
  return database.query<DueSaga>(selectDue, [saga, limit])
}

const postponeSaga = statement(`
  update kit.sagas set due_at = clock_timestamp() + $3::float * interval '1 ms'
  where saga = $1 and saga_id = $2 and due_at is not null`)

/** Looks at a saga later, where looking at it failed, so that it does not stand before the others. */
export async function postpone(database: AnyDatabase, saga: string, sagaId: string, forMs: number): Promise<void> {
  await database.query(postponeSaga, [saga, sagaId, forMs])
}

const deleteEnded = statement(`
  delete from kit.sagas where ctid = any(array(
    select ctid from kit.sagas where saga = $1 and ended_at < statement_timestamp() - $2::float * interval '1 ms'
    limit 1000))
  returning 1`)

/** Forgets sagas that ended so long ago, with their logs. */
export async function prune(database: AnyDatabase, saga: string, keepMs: number): Promise<void> {
  while ((await database.query(deleteEnded, [saga, keepMs])).length > 0);
}

const selectUnfinished = statement(`
  select extract(epoch from clock_timestamp() - min(started_at))::float8 as "oldestSeconds",
    count(*) filter (where stuck <> '')::int as stuck, count(*)::int as unfinished
  from kit.sagas where saga = $1 and ended_at is null`)

/** How long the oldest unfinished saga has been under way (0 where all have ended), and how many are stuck. */
export async function unfinished(
  database: AnyDatabase,
  saga: string,
): Promise<{ readonly oldestSeconds: number; readonly stuck: number; readonly unfinished: number }> {
  type Row = { oldestSeconds: number | null; stuck: number; unfinished: number }
  const [row] = await database.query<Row>(selectUnfinished, [saga])
  return { oldestSeconds: row?.oldestSeconds ?? 0, stuck: row?.stuck ?? 0, unfinished: row?.unfinished ?? 0 }
}

/** A saga in a list. */
export type SagaSummary = {
  readonly saga: string
  readonly sagaId: string
  readonly status: SagaStatus
  readonly stuck: string
  readonly reason: string
  readonly startedAt: Date
  readonly endedAt: Date | null
}

const summary = `saga, saga_id as "sagaId", status, stuck, state->>'reason' as reason, started_at as "startedAt", ended_at as "endedAt"`
// Those that have ended are many, and only the latest of them are read.
const selectList = statement(`
  select ${summary} from (
    (select * from kit.sagas
      where saga = $1 and ended_at is null
        and ($2::text is null or $2 = 'unfinished' or status = $2 or ($2 = 'stuck' and stuck <> ''))
      order by stuck = '', started_at limit $3)
    union all
    (select * from kit.sagas
      where saga = $1 and ended_at is not null
        and ($2::text is null or $2 in ('completed', 'compensated')) and ($2::text is null or status = $2)
      order by ended_at desc limit $3)
  ) as found
  order by stuck = '', ended_at desc nulls first, started_at limit $3`)

/** Sagas by status (`stuck` and `unfinished` are taken, too; null for all): stuck ones first, then unfinished ones, then the latest. */
export async function list(
  database: AnyDatabase,
  saga: string,
  status: string | null,
  limit: number,
): Promise<readonly SagaSummary[]> {
  return database.query<SagaSummary>(selectList, [saga, status, limit])
}

/** A saga with all that happened to it. */
export type SagaStory = SagaSummary & {
  readonly steps: SagaState['steps']
  readonly results: SagaState['results']
  readonly correlationId: string
  readonly traceparent: string | null
  readonly log: readonly { readonly at: Date; readonly event: object; readonly commands: readonly string[] }[]
}

const selectStory = statement(`
  select ${summary}, state->'steps' as steps, state->'results' as results, correlation_id as "correlationId", traceparent
  from kit.sagas where saga = $1 and saga_id = $2`)
const selectLog = statement(`
  select at, event, commands from kit.saga_log where saga = $1 and saga_id = $2 order by number limit 500`)

/** One saga with its log; null where there is none. */
export async function story(database: AnyDatabase, saga: string, sagaId: string): Promise<SagaStory | null> {
  const [found] = await database.query<Omit<SagaStory, 'log'>>(selectStory, [saga, sagaId])
  if (!found) return null
  return { ...found, log: await database.query<SagaStory['log'][number]>(selectLog, [saga, sagaId]) }
}
