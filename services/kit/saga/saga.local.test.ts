import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { type StepRef, type StepReply, StepReplySchema } from '#proto/parley/saga/v1/saga_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { StoreUnavailable } from '../store/errors.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { until } from '../until-fixture.ts'
import { sagasOperation } from './admin.ts'
import { stuckAfterMs } from './decide.ts'
import { done, type Outcome, refused, undone } from './participant.ts'
import { deliverReply, leader, saga, sagasOn } from './saga-fixture.ts'
import { list, story, unfinished } from './store.ts'
import { watchSagas } from './watch.ts'

jest.setTimeout(60_000)

let server: PostgresFixture
let at: PostgresConfiguration
let database: Database<object>

beforeAll(async () => {
  server = await startPostgres()
  at = server.create('leader')
  database = openDatabase(testApp(leader, { postgres: at }))
  await migrate(database)
}, 60_000)

afterAll(async () => {
  await database?.close()
  await server?.stop()
})

const schemas = saga.steps.flatMap(({ via }) => via.carries)
type Command = { readonly message: string; readonly ref: StepRef }
const takeRows = statement(
  `delete from kit.outbox where position($1::bytea in payload) > 0 returning id, headers->>'cloudEvents:type' as type, payload`,
)

/** As if so much time had passed for the sagas whose ids begin so. */
async function pass(ms: number, begins: string): Promise<void> {
  type Row = { id: string; state: object }
  const open = statement('select saga_id as id, state from kit.sagas where starts_with(saga_id, $1)')
  const age = statement(`update kit.sagas set state = $2, due_at = due_at - $3 * interval '1 ms' where saga_id = $1`)
  for (const { id, state } of await database.query<Row>(open, [begins])) {
    const older = JSON.stringify(state, (key, value) => (/Ms$/.test(key) ? value - ms : value))
    await database.query(age, [id, older, ms])
  }
}

/** What the relay would send for a saga. Every command has its key in the first field. */
async function take(sagaId: string): Promise<Command[]> {
  type Row = { id: bigint; type: string; payload: Buffer }
  const rows = await database.query<Row>(takeRows, [Buffer.from(sagaId)])
  return rows
    .sort((a, b) => Number(a.id - b.id))
    .map(({ type, payload }) => {
      const schema = schemas.find(({ typeName }) => typeName === type)
      const step = schema && (fromBinary(schema, payload) as { step?: StepRef }).step
      if (!step) throw new Error('a command names its step')
      return { message: type.replace(/^.*\./, ''), ref: step }
    })
}

/** Participants that do as they are told, once, and leave tombstones. */
function participants(refusing: ReadonlySet<string>) {
  const held = new Set(['place'])
  const dead = new Set<string>()
  const effects: string[] = []
  const answer = ({ message, ref: { step } }: Command): Outcome => {
    if (/^(Cancel|Release|Refund)/.test(message)) {
      if (held.delete(step)) effects.push(`undo ${step}`)
      dead.add(step)
      return undone()
    }
    if (dead.has(step) || refusing.has(step)) return refused('no')
    if (!held.has(step)) effects.push(step)
    held.add(step)
    return done(step === 'reserve' ? { place: 'shelf 7' } : {})
  }
  return { held, effects, answer }
}

type What = { readonly start: string } | { readonly reply: StepReply; readonly id: string }
type Crash = { readonly at: number; readonly when: 'before the commit' | 'after the commit' }

async function lead(sagaId: string, refusing: ReadonlySet<string>, crash?: Crash) {
  const sagas = sagasOn(database)
  const world = participants(refusing)
  const sent: string[] = []
  let decisions = 0
  const happen = async (what: What) => {
    decisions += 1
    if (crash?.at === decisions) await die(what, crash.when)
    // The broker delivers again what was not acknowledged.
    if ('start' in what) {
      const placed = create(OrderPlacedSchema, { orderId: sagaId })
      await database.transaction((tx) => sagas.start(tx, sagaId, placed))
    } else await deliverReply(database, sagas, what.reply, what.id)
  }
  await happen({ start: sagaId })
  for (let commands = await take(sagaId); commands.length > 0; commands = await take(sagaId)) {
    for (const command of commands) {
      sent.push(command.message)
      const reply = create(StepReplySchema, { step: command.ref, outcome: world.answer(command) })
      await happen({ reply, id: `${sagaId}-${sent.length}` })
    }
  }
  return { ...world, sent, decisions, story: await story(database, 'fulfil', sagaId) }
}

function die(what: What, when: Crash['when']): Promise<void> {
  const script = join(import.meta.dirname, 'leader-crash-fixture.ts')
  const told =
    'start' in what
      ? what
      : { id: what.id, reply: Buffer.from(toBinary(StepReplySchema, what.reply)).toString('base64') }
  const argument = JSON.stringify({ postgres: at, when, what: told })
  const child = spawn(process.execPath, [script, argument], { stdio: ['ignore', 'inherit', 'inherit'], env: {} })
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) =>
      signal === 'SIGKILL' ? resolve() : reject(new Error(`it ended with ${code}`)),
    )
  })
}

const courses = [
  {
    name: 'forward',
    // The first decisions of both are the same.
    killedFrom: 1,
    refusing: new Set<string>(),
    status: 'completed',
    sent: ['ReserveStock', 'ChargePayment', 'ConfirmOrder', 'DispatchParcel'],
    effects: ['reserve', 'charge', 'confirm', 'ship'],
  },
  {
    name: 'back',
    killedFrom: 4,
    refusing: new Set(['confirm']),
    status: 'compensated',
    sent: ['ReserveStock', 'ChargePayment', 'ConfirmOrder', 'ReleaseStock', 'RefundPayment', 'CancelOrder'],
    effects: ['reserve', 'charge', 'undo reserve', 'undo charge', 'undo place'],
  },
]

describe('a leader', () => {
  test.each(courses)(
    'leads a saga $name, and writes down all that happened',
    async ({ name, refusing, ...expected }) => {
      const led = await lead(`plain-${name}`, refusing)
      expect(led).toMatchObject({ sent: expected.sent, effects: expected.effects })
      expect(led.story).toMatchObject({ status: expected.status, stuck: '' })
      expect(led.story?.log).toHaveLength(led.decisions)
      expect(led.story?.log[0]).toMatchObject({ event: { kind: 'started' }, commands: ['act reserve', 'act charge'] })
    },
  )

  test.each(courses)(
    'that is killed at any step of a saga that goes $name, before or after it has decided, sends and does nothing twice and forgets nothing',
    async ({ name, killedFrom, refusing, status, sent, effects }) => {
      const decisions = Array.from({ length: sent.length + 1 }, (_, index) => index + 1)
      const crashes = decisions
        .slice(killedFrom - 1)
        .flatMap((number) => [
          { at: number, when: 'before the commit' } as const,
          { at: number, when: 'after the commit' } as const,
        ])
      const led = await Promise.all(crashes.map((crash, index) => lead(`killed-${name}-${index}.`, refusing, crash)))
      for (const one of led) {
        expect(one).toMatchObject({ sent, effects })
        expect(one.story).toMatchObject({ status, stuck: '' })
        expect(one.story?.log).toHaveLength(sent.length + 1)
      }
    },
  )

  test('starts a saga once, and passes on what steps have told', async () => {
    const sagas = sagasOn(database)
    const start = () =>
      database.transaction((tx) => sagas.start(tx, 'once', create(OrderPlacedSchema, { orderId: 'once' })))
    await Promise.all([start(), start(), start()])
    expect((await take('once')).map(({ message }) => message)).toEqual(['ReserveStock', 'ChargePayment'])
  })

  test('of which there are two asks again once each time', async () => {
    const other = openDatabase<object>(testApp(leader, { postgres: at }))
    const ids = Array.from({ length: 20 }, (_, index) => `timed-${index}.`)
    for (const id of ids) {
      await database.transaction((tx) => sagasOn(database).start(tx, id, create(OrderPlacedSchema, { orderId: id })))
    }
    const watching = await Promise.all(
      [database, other].map((one) => watchSagas({ log: silentLog }, sagasOn(one), { pollMs: 10 })),
    )
    const attempted = statement(
      `select count(*) as count from kit.saga_log where saga_id like 'timed-%' and number = 3`,
    )
    await until(async () => {
      const [row] = await database.query<{ count: bigint }>(attempted)
      return row?.count === BigInt(ids.length)
    }, 'two attempts each')
    await Promise.all(watching.map((one) => one.close()))
    await other.close()
    for (const found of await Promise.all(ids.map((id) => story(database, 'fulfil', id)))) {
      const said = found?.log.slice(1).flatMap(({ commands }) => commands) ?? []
      expect(said).toEqual(said.map((_, index) => `act charge (attempt ${index + 2})`))
      const commands = await take(found?.sagaId ?? '')
      expect(commands.filter(({ message }) => message === 'ChargePayment')).toHaveLength(said.length + 1)
    }
  })
})

test('of which many are due, as after an outage, all are looked at in one turn', async () => {
  const sagas = sagasOn(database)
  const ids = Array.from({ length: 250 }, (_, index) => `many-${index}.`)
  await database.transaction(async (tx) => {
    for (const id of ids) await sagas.start(tx, id, create(OrderPlacedSchema, { orderId: id }))
  })
  await pass(20_000, 'many-')
  await sleep(200)
  const watching = await watchSagas({ log: silentLog }, sagas, { pollMs: 3_000 })
  const turned = statement(
    `select count(*) as count from kit.sagas where saga_id like 'many-%' and status = 'compensating'`,
  )
  const all = async () => (await database.query<{ count: bigint }>(turned))[0]?.count === 250n
  // The turn after the first one does not begin before 6 s.
  await until(all, 'all have turned back', 5_900, 50).finally(() => watching.close())
})

test.each([600_000, -600_000])(
  'keeps the time of the database: replicas whose clocks are %d ms apart neither turn it back too soon nor too late',
  async (aheadMs) => {
    const clock = () => new Date(Date.now() + aheadMs)
    const skewed = openDatabase<object>(testApp(leader, { postgres: at }), { clock })
    for (const [index, [first, second]] of [[database, skewed] as const, [skewed, database] as const].entries()) {
      const id = `skewed${aheadMs}/${index}`
      await first.transaction((tx) => sagasOn(first).start(tx, id, create(OrderPlacedSchema, { orderId: id })))
      expect(await sagasOn(second).wake(id)).toBe(false)
      const [command] = await take(id)
      const reply = create(StepReplySchema, { ...(command && { step: command.ref }), outcome: done() })
      await deliverReply(first, sagasOn(first), reply, id)
      await pass(10_001, id)
      expect(await sagasOn(second).wake(id)).toBe(true)
      const found = await story(database, 'fulfil', id)
      expect(found).toMatchObject({ status: 'compensating', reason: 'not done within 10 s' })
      const times = [found?.startedAt, ...(found?.log ?? []).map((line) => line.at)]
      for (const time of times) expect(Math.abs(Date.now() - (time?.getTime() ?? 0))).toBeLessThan(30_000)
      await take(id)
    }
    await skewed.close()
  },
)

test('asks again under other ids and tells that it is for the same, so that one dead letter of it is kept', async () => {
  const sagas = sagasOn(database)
  const placed = create(OrderPlacedSchema, { orderId: 'repeats' })
  await database.transaction((tx) => sagas.start(tx, 'repeats', placed))
  await sagas.retry('repeats')
  await sagas.cancel('repeats', 'too late')
  await sagas.retry('repeats')
  type Row = { id: string; work: string }
  const rows = await database.query<Row>(
    statement(`
      select event_id as id, headers->>'parley-work' as work from kit.outbox
      where position('repeats'::bytea in payload) > 0 order by outbox.id`),
  )
  const works = rows.map(({ work }) => work)
  expect(works.slice(0, 2)).toEqual(['fulfil/repeats/act reserve', 'fulfil/repeats/act charge'])
  expect(works.slice(2, 4)).toEqual(works.slice(0, 2))
  expect(works.slice(4).toSorted()).toEqual(
    ['charge', 'charge', 'reserve', 'reserve'].map((step) => `fulfil/repeats/undo ${step}`),
  )
  expect(new Set(rows.map(({ id }) => id)).size).toBe(8)
  await take('repeats')
})

test('that cannot be looked at because the database is busy is looked at again as soon as it is not', async () => {
  await database.transaction((tx) =>
    sagasOn(database).start(tx, 'busy', create(OrderPlacedSchema, { orderId: 'busy' })),
  )
  let failures = 0
  const busy: typeof database = {
    ...database,
    transaction: (run) => {
      failures += 1
      return failures <= 2 ? Promise.reject(new StoreUnavailable(new Error('busy'))) : database.transaction(run)
    },
  }
  await pass(20_000, 'busy')
  const watching = await watchSagas({ log: silentLog }, sagasOn(busy), { pollMs: 10 })
  const back = async () => (await story(database, 'fulfil', 'busy'))?.status === 'compensating'
  await until(back, 'it has turned back', 5_000).finally(() => watching.close())
})

describe('a saga that nobody answers', () => {
  test('turns back in time, is seen to be stuck within a minute, and goes on once somebody answers', async () => {
    const errors: unknown[] = []
    const log = { ...silentLog, error: (_message: string, about?: object) => void errors.push(about) }
    const sagas = sagasOn(database, log)
    const operation = sagasOperation(sagas)
    const ask = (verb: 'GET' | 'POST', ...path: string[]) =>
      operation({ verb, path: ['fulfil', ...path], query: new URLSearchParams({ status: 'stuck' }), body: {} })
    await database.transaction((tx) => sagas.start(tx, 'silent', create(OrderPlacedSchema, { orderId: 'silent' })))
    const commands = await take('silent')
    await pass(10_001, 'silent')
    expect(await sagas.wake('silent')).toBe(true)
    expect((await take('silent')).map(({ message }) => message)).toEqual(['ReleaseStock', 'RefundPayment'])
    expect(await ask('GET')).toEqual({ sagas: [], more: false })
    const misspelt = operation({ verb: 'GET', path: ['fulfil'], query: new URLSearchParams('status=stuk'), body: {} })
    await expect(misspelt).rejects.toMatchObject({ code: 'invalid-argument' })
    await pass(stuckAfterMs, 'silent')
    await sagas.wake('silent')
    expect(await ask('GET')).toMatchObject({ sagas: [{ sagaId: 'silent', status: 'compensating' }] })
    expect(errors).toEqual([
      expect.objectContaining({ sagaId: 'silent', why: expect.stringContaining('undoing reserve') }),
    ])
    expect(await unfinished(database, 'fulfil')).toMatchObject({ stuck: 1 })

    await take('silent')
    expect(await ask('POST', 'silent', 'retry')).toEqual({ sagaId: 'silent' })
    for (const [index, { ref }] of [...(await take('silent')), ...commands].entries()) {
      const outcome = index < 2 ? undone() : done()
      await deliverReply(database, sagas, create(StepReplySchema, { step: ref, outcome }), `silent-${index}`)
    }
    const [cancel] = await take('silent')
    expect(cancel?.message).toBe('CancelOrder')
    const last = create(StepReplySchema, { ...(cancel && { step: cancel.ref }), outcome: undone() })
    await deliverReply(database, sagas, last, 'silent-last')
    expect(await ask('GET', 'silent')).toMatchObject({
      status: 'compensated',
      stuck: '',
      reason: 'not done within 10 s',
    })
    await expect(ask('POST', 'silent', 'retry')).rejects.toThrow('has ended')
    await expect(ask('POST', 'nobody', 'cancel')).rejects.toThrow('There is no saga nobody')
  })

  test('past the point of no return cannot be cancelled, and is asked on', async () => {
    const sagas = sagasOn(database)
    await database.transaction((tx) => sagas.start(tx, 'late', create(OrderPlacedSchema, { orderId: 'late' })))
    for (const [index, { ref }] of (await take('late')).entries()) {
      await deliverReply(database, sagas, create(StepReplySchema, { step: ref, outcome: done() }), `late-${index}`)
    }
    expect(await sagas.cancel('late', 'changed their mind')).toBe('past the point of no return')
    await pass(60_000, 'late')
    await sagas.wake('late')
    expect((await take('late')).map(({ message }) => message)).toEqual(['ConfirmOrder', 'ConfirmOrder'])
    expect(await list(database, 'fulfil', 'running', 50)).toContainEqual(expect.objectContaining({ sagaId: 'late' }))
  })
})

test('a reply that comes after the end changes nothing of it, and one that is told on and on is written down a few times', async () => {
  const sagas = sagasOn(database)
  const answer = (ref: StepRef, outcome: Outcome, id: string) =>
    deliverReply(database, sagas, create(StepReplySchema, { step: ref, outcome }), id)
  await database.transaction((tx) => sagas.start(tx, 'told', create(OrderPlacedSchema, { orderId: 'told' })))
  let ship: StepRef | undefined
  for (let commands = await take('told'); commands.length > 0; commands = await take('told')) {
    for (const { ref } of commands) {
      if (ref.step === 'ship') ship = ref
      else await answer(ref, done(), `told-${ref.step}`)
    }
  }
  if (!ship) throw new Error('the saga asks to ship')
  for (let number = 0; number < 40; number += 1) await answer(ship, refused('no parcels today'), `told-${number}`)
  expect(await story(database, 'fulfil', 'told')).toMatchObject({ stuck: expect.stringContaining('no parcels today') })
  await answer(ship, done(), 'told-at-last')
  const ended = await story(database, 'fulfil', 'told')
  expect(ended).toMatchObject({ status: 'completed' })
  expect(ended?.log.length).toBeLessThan(35)
  expect(ended?.log.at(-1)).toMatchObject({ event: { kind: 'done', step: 'ship' } })
  await answer(ship, done(), 'told-late')
  expect((await story(database, 'fulfil', 'told'))?.endedAt).toEqual(ended?.endedAt)
})

test('a refusal in words that the database cannot hold is heard all the same', async () => {
  const sagas = sagasOn(database)
  for (const [number, reason] of ['a zero: \u0000', `${'x'.repeat(499)}\u{1f33b}`].entries()) {
    const id = `words-${number}`
    await database.transaction((tx) => sagas.start(tx, id, create(OrderPlacedSchema, { orderId: id })))
    const [command] = await take(id)
    const reply = create(StepReplySchema, { ...(command && { step: command.ref }), outcome: refused(reason) })
    await deliverReply(database, sagas, reply, id)
    expect(await story(database, 'fulfil', id)).toMatchObject({ status: 'compensating' })
    expect(
      await sagasOperation(sagas)({
        verb: 'POST',
        path: ['fulfil', id, 'cancel'],
        query: new URLSearchParams(),
        body: { reason },
      }),
    ).toEqual({ sagaId: id })
  }
})

test('a reply that belongs to no saga is a dead letter at once', async () => {
  const sagas = sagasOn(database)
  const step = { saga: 'fulfil', sagaId: 'nobody', step: 'ship' }
  const reply = create(StepReplySchema, { step, outcome: done() })
  await expect(deliverReply(database, sagas, reply, 'x-1')).rejects.toMatchObject({ name: 'PermanentFailure' })
  const foreign = create(StepReplySchema, { step: { ...step, saga: 'other' }, outcome: done() })
  await expect(deliverReply(database, sagas, foreign, 'x-2')).rejects.toMatchObject({ name: 'PermanentFailure' })
})
