import { expect, test } from '@jest/globals'
import { rowText, summaryText } from './report.ts'
import { must, type Row } from './row.ts'
import { rows } from './rows.ts'
import type { Shop } from './shop.ts'
import type { ReadTrace } from './trace.ts'
import { type Bounds, type Walked, walkAll } from './walker.ts'

const nothing = {} as Shop
const look = { colours: false, traceUrl: (traceId: string) => `http://zipkin/${traceId}` }
const bounds: Bounds = { withinMs: 200, graceMs: 50, traceWithinMs: 300 }
const never = new AbortController().signal

const row = (number: number, walk: Row['walk'], more: Partial<Row> = {}): Row => ({
  ...{ number, name: `row-${number}`, pattern: `Pattern ${number}`, services: ['gateway', 'orders'] },
  walk,
  ...more,
})
const fine = async () => {}
/** Spans arrive late: the first look finds nobody. */
function traceOf(...services: string[]): ReadTrace {
  let looks = 0
  return async () => (looks++ === 0 ? [] : services.map((serviceName) => ({ localEndpoint: { serviceName } })))
}

async function walk(wanted: readonly Row[], read: ReadTrace = traceOf('gateway', 'orders'), signal = never) {
  const told: Walked[] = []
  await walkAll(wanted, nothing, read, signal, (walked) => told.push(walked), bounds)
  return told
}

test('a row that fails is told with its reason and where to look, and the others are walked', async () => {
  const results = await walk([
    row(1, async ({ show }) => {
      await show('a question', async () => 42, String)
      must(false, 'It is not so')
    }),
    row(2, fine),
  ])
  expect(results.map(({ number, failure }) => [number, failure])).toEqual([
    [1, 'It is not so'],
    [2, null],
  ])
  expect(rowText(results[0] as Walked, look)).toMatch(
    / 1 {2}Pattern 1 +FAILED.*→ a question.*← 42.*failed +It is not so/s,
  )
  expect(summaryText(results, 2, look)).toMatch(
    /1 of 2 rows went well, 1 failed.*1 row-1: It is not so.*http:\/\/zipkin\/.*make demo ROW=1/s,
  )
})

test('who took part is read from the trace, and one who is missing fails the row', async () => {
  const [well] = await walk([row(1, fine)], traceOf('orders', 'gateway', 'payments'))
  expect(well).toMatchObject({ failure: null, services: ['gateway', 'orders', 'payments'] })
  const [missed] = await walk([row(1, fine)], traceOf('gateway'))
  expect(missed?.failure).toBe('The trace lacks orders; in it are: gateway')
})

test('what the trace has to show is waited for', async () => {
  let spans = 0
  const read: ReadTrace = async (_id, _signal) => {
    spans += 1
    return ['gateway', 'orders'].map((serviceName) => ({ localEndpoint: { serviceName } }))
  }
  const inspect: Row['inspect'] = () => {
    must(spans > 1, 'It has not arrived')
    return 'both its ends'
  }
  expect(await walk([row(1, fine, { inspect })], read)).toMatchObject([{ failure: null, seen: 'both its ends' }])
})

test('a row has its time, also one that does not listen; what it changed is put back before the next begins', async () => {
  const order: string[] = []
  const results = await walk([
    row(1, async ({ until, afterwards }) => {
      afterwards(async () => order.push('put back'))
      await until(
        'The order was not shipped',
        async () => 'placed',
        (status) => status === 'shipped',
      )
    }),
    row(2, ({ afterwards }) => {
      afterwards(() => Promise.reject(new Error('gone')))
      return new Promise(() => {})
    }),
    row(3, async () => void order.push('next')),
  ])
  expect(results.map(({ failure }) => failure)).toEqual([
    'The order was not shipped in time; the last answer was "placed"',
    'It did not end within 0.2 s. What it changed could not be put back: gone',
    null,
  ])
  expect(order).toEqual(['put back', 'next'])
})

test('an interruption ends the row under way, puts back what it changed, and begins no other', async () => {
  const interrupted = new AbortController()
  let back = false
  const results = await walk(
    [
      row(1, async ({ signal, afterwards }) => {
        afterwards(async () => {
          back = true
        })
        interrupted.abort(new Error('It was interrupted'))
        signal.throwIfAborted()
      }),
      row(2, fine),
    ],
    traceOf(),
    interrupted.signal,
  )
  expect(back).toBe(true)
  expect(results).toMatchObject([{ number: 1, failure: 'It was interrupted' }])
  expect(summaryText(results, 2, look)).toContain('0 of 2 rows went well, 1 failed, 1 not walked')
})

test('each row has a number and a name of its own', () => {
  expect(new Set(rows.map(({ number }) => number)).size).toBe(rows.length)
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
})
