import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type FoldInput, fold, type Held, type Turn } from './fold.ts'
import { isLate, watermark, windowStart } from './window.ts'

const windows = { sizeMs: 60, latenessMs: 10, idleMs: 30 }

type Tally = { readonly ids: readonly string[] }
/** Bears to be told an event twice, as every reaction must. */
const react =
  (id: string, amount: bigint) =>
  (state: unknown): Turn<Tally> => {
    const { ids } = (state as Tally | undefined) ?? { ids: [] }
    return { state: { ids: [...new Set([...ids, id])].sort() }, counts: { events: 1n, amount } }
  }

const event = (key: string, timeMs: number, offset: number, amount = 1n): FoldInput => {
  const id = `${key}@${offset}`
  return {
    id,
    type: 'Sold',
    key,
    topic: 'sales',
    timeMs,
    partition: 0,
    offset: BigInt(offset),
    react: react(id, amount),
  }
}
const from = (newestMs = 0, held: ReadonlyMap<string, Held> = new Map()) => ({
  held,
  newestMs,
  windows,
  counting: true,
})
const amounts = ({ windows: parts }: ReturnType<typeof fold>) =>
  [...parts].map(([startsMs, { counts }]) => [startsMs, counts.get('amount')])

describe('given where a partition stands, when a batch comes', () => {
  test('each event counts in the window of its own time', () => {
    const folded = fold([event('a', 59, 0), event('b', 60, 1), event('a', 119, 2)], from())
    expect(amounts(folded)).toEqual([
      [0, 1n],
      [60, 2n],
    ])
    expect(folded.newestMs).toBe(119)
    expect(folded.states.get('a')).toEqual({ state: { ids: ['a@0', 'a@2'] }, beganMs: 59, touchedMs: 119 })
  })

  test('an event within the lateness counts in its window; a later one is kept apart, and its state is still learnt', () => {
    const inTime = fold([event('a', 69, 0), event('late', 59, 1)], from())
    expect(amounts(inTime)).toEqual([
      [60, 1n],
      [0, 1n],
    ])
    expect(inTime.late).toEqual([])
    const tooLate = fold([event('a', 70, 0), event('late', 59, 1, 7n)], from())
    expect(amounts(tooLate)).toEqual([[60, 1n]])
    expect(tooLate.late).toMatchObject([{ startsMs: 0, counts: { amount: 7n }, input: { key: 'late' } }])
    expect(tooLate.states.has('late')).toBe(true)
  })

  test('a reaction that throws changes nothing, and its successors go on', () => {
    const bad = {
      ...event('bad', 5, 1),
      react: () => {
        throw new Error('no such currency')
      },
    }
    const folded = fold([event('a', 1, 0), bad, event('b', 2, 2)], from())
    expect(folded.failed).toMatchObject([{ input: { key: 'bad' }, error: { message: 'no such currency' } }])
    expect(amounts(folded)).toEqual([[0, 2n]])
    expect(folded.newestMs).toBe(2)
  })

  test('what the database could not hold fails alone', () => {
    const states = ['\u0000', '\ud800', 'a\\u0000']
    const given = states.map((text, at) => ({ ...event(`k${at}`, 1, at), react: () => ({ state: { text } }) }))
    const folded = fold(
      [...given, { ...event('huge', 1, 3), react: () => ({ counts: { amount: 2n ** 60n } }) }],
      from(),
    )
    expect(folded.failed.map(({ input }) => input.key)).toEqual(['k0', 'k1', 'huge'])
  })
})

describe('the watermark', () => {
  test('is that of the slowest partition, less the lateness', () => {
    const partitions = [
      { newestMs: 200, idle: false },
      { newestMs: 120, idle: false },
    ]
    expect(watermark(partitions, 10_000, windows)).toBe(110)
  })
  test('is not held by an idle partition, which counts as if something had come when it became idle', () => {
    expect(
      watermark(
        [
          { newestMs: 200, idle: false },
          { newestMs: 0, idle: true },
        ],
        1_000,
        windows,
      ),
    ).toBe(190)
    expect(
      watermark(
        [
          { newestMs: 200, idle: true },
          { newestMs: 0, idle: true },
        ],
        1_000,
        windows,
      ),
    ).toBe(960)
  })
  test('never falls behind an event of an idle partition, and is unknown without partitions', () => {
    expect(watermark([{ newestMs: 5_000, idle: true }], 1_000, windows)).toBe(4_990)
    expect(watermark([], 1_000, windows)).toBeNull()
  })
})

/** A store in memory that commits a whole batch or nothing, as the transaction does. */
function memoryStore(partitions: number) {
  let states: ReadonlyMap<string, Held> = new Map()
  let totals: ReadonlyMap<number, bigint> = new Map()
  let lateIds: readonly string[] = []
  const standings = Array.from({ length: partitions }, () => ({ next: 0, newestMs: 0, idle: false }))
  const results = new Map<number, bigint>()
  return {
    standings,
    apply(partition: number, delivered: readonly FoldInput[], crash: boolean) {
      const standing = standings[partition]
      if (!standing) return
      const fresh = delivered.filter(({ offset }) => offset >= standing.next)
      const folded = fold(fresh, from(standing.newestMs, states))
      if (crash) return
      states = new Map([...states, ...folded.states])
      const sums = new Map(totals)
      for (const [startsMs, { counts }] of folded.windows) {
        sums.set(startsMs, (sums.get(startsMs) ?? 0n) + (counts.get('amount') ?? 0n))
      }
      totals = sums
      lateIds = [...lateIds, ...folded.late.map(({ input }) => input.id)]
      standing.newestMs = folded.newestMs
      standing.next = Math.max(standing.next, ...fresh.map(({ offset }) => Number(offset) + 1))
    },
    close(nowMs: number) {
      const before = watermark(standings, nowMs, windows)
      for (const [startsMs, amount] of totals) {
        if (before !== null && startsMs + windows.sizeMs <= before) results.set(startsMs, amount)
      }
    },
    end: () => ({
      results: [...results].sort(([a], [b]) => a - b),
      late: lateIds.toSorted(),
      states: [...states].map(([key, held]) => [key, held.state, held.beganMs, held.touchedMs]).sort(),
    }),
  }
}

const times = fc.array(fc.nat({ max: 600 }), { minLength: 1, maxLength: 40 })
const steps = fc.array(
  fc.record({
    partition: fc.nat({ max: 2 }),
    back: fc.nat({ max: 3 }),
    size: fc.integer({ min: 1, max: 6 }),
    crash: fc.boolean(),
    close: fc.boolean(),
    idle: fc.boolean(),
  }),
  { maxLength: 40 },
)

function run(
  logs: readonly (readonly FoldInput[])[],
  course: readonly { partition: number; back: number; size: number; crash: boolean; close: boolean; idle: boolean }[],
) {
  const store = memoryStore(logs.length)
  for (const { partition, back, size, crash, close, idle } of course) {
    const at = partition % logs.length
    const standing = store.standings[at]
    // A new owner begins at an offset that was committed to the group some batches ago.
    const start = Math.max(0, (standing?.next ?? 0) - back)
    store.apply(at, logs[at]?.slice(start, start + back + size) ?? [], crash)
    // Idleness comes and goes by a clock that has nothing to do with the events.
    if (standing) standing.idle = idle
    if (close) store.close(idle ? 1_000 : 100)
  }
  for (const [partition, log] of logs.entries()) store.apply(partition, log, false)
  for (const standing of store.standings) standing.idle = true
  store.close(1_000_000)
  return store.end()
}

describe('whatever happens', () => {
  test('the same logs give the same windows, late events and states: interleaved, in any batches, crashed and delivered again', () => {
    fc.assert(
      fc.property(fc.tuple(times, times, times), steps, (given, course) => {
        const logs = given.map((of, partition) =>
          of.map((timeMs, at) => ({
            ...event(`k${timeMs % 5}`, timeMs, at, BigInt(timeMs + 1)),
            id: `${partition}/${at}`,
          })),
        )
        expect(run(logs, course)).toEqual(run(logs, []))
      }),
      { numRuns: 300 },
    )
  })

  test('where no event is later than is allowed, any partitioning gives the same windows', () => {
    const given = fc.array(
      fc.record({ gap: fc.nat({ max: 40 }), delay: fc.nat({ max: 10 }), to: fc.nat({ max: 2 }) }),
      {
        minLength: 1,
        maxLength: 60,
      },
    )
    fc.assert(
      fc.property(given, steps, (events, course) => {
        let clock = 0
        const inOrder = events.map(({ gap, delay, to }, at) => {
          clock += gap
          return { timeMs: Math.max(0, clock - delay), to, id: `e${at}` }
        })
        const spread = (count: number) =>
          Array.from({ length: count }, (_, partition) =>
            inOrder
              .filter(({ to }) => to % count === partition)
              .map(({ timeMs, id }, at) => ({ ...event(id, timeMs, at, 1n), id })),
          )
        const { results, late } = run(spread(3), course)
        expect(late).toEqual([])
        expect(results).toEqual(run(spread(1), []).results)
        const expected = Map.groupBy(inOrder, ({ timeMs }) => windowStart(timeMs, windows.sizeMs))
        expect(results).toEqual(
          [...expected]
            .map(([startsMs, of]) => [startsMs, BigInt(of.length)])
            .sort(([a], [b]) => Number(a) - Number(b)),
        )
        expect(isLate(0, 69, windows)).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})
