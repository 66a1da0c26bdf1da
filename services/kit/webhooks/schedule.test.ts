import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readRetryAfter, retryDelayMs } from './schedule.ts'

const schedules = fc
  .record({
    attempts: fc.integer({ min: 2, max: 30 }),
    baseMs: fc.integer({ min: 1, max: 60_000 }),
    factor: fc.integer({ min: 1, max: 5_000 }),
  })
  .map(({ attempts, baseMs, factor }) => ({ attempts, backoff: { baseMs, maxMs: baseMs * factor } }))
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('waits grow from the base to the ceiling, chance only shortens them, and they end with the last attempt', () => {
  fc.assert(
    fc.property(schedules, random, (schedule, chance) => {
      const { attempts, backoff } = schedule
      const waits = Array.from({ length: attempts - 1 }, (_, index) => retryDelayMs(schedule, index + 1, 0) ?? -1)
      expect(waits[0]).toBe(backoff.baseMs)
      if (attempts > 2) expect(waits.at(-1)).toBe(backoff.maxMs)
      expect(waits).toEqual([...waits].sort((a, b) => a - b))
      waits.forEach((waitMs, index) => {
        const jittered = retryDelayMs(schedule, index + 1, chance) ?? -1
        expect(jittered).toBeLessThanOrEqual(waitMs)
        expect(jittered).toBeGreaterThanOrEqual(Math.floor(waitMs * 0.8))
      })
      expect(retryDelayMs(schedule, attempts, chance)).toBeNull()
    }),
  )
})

test('as declared by default the last of 12 attempts comes about 7 h after the first', () => {
  const schedule = { attempts: 12, backoff: { baseMs: 5_000, maxMs: 4 * 3_600_000 } }
  const waits = Array.from({ length: 11 }, (_, index) => retryDelayMs(schedule, index + 1, 0) ?? 0)
  expect(waits[0]).toBe(5_000)
  expect(waits[10]).toBe(4 * 3_600_000)
  expect(waits.reduce((sum, waitMs) => sum + waitMs) / 3_600_000).toBeCloseTo(7.3, 1)
})

test('a receiver may ask for more time, up to the ceiling, and for less in vain', () => {
  const schedule = { attempts: 12, backoff: { baseMs: 5_000, maxMs: 60_000 } }
  expect(retryDelayMs(schedule, 1, 0, 30_000)).toBe(30_000)
  expect(retryDelayMs(schedule, 1, 0, 10 ** 12)).toBe(60_000)
  expect(retryDelayMs(schedule, 1, 0, 1)).toBe(5_000)
})

test.each([
  ['120', 120_000],
  ['Sat, 31 Jan 2026 12:01:00 GMT', 60_000],
  ['Sat, 31 Jan 2026 11:00:00 GMT', 0],
  ['-5', 0],
  ['soon', 0],
  ['1e9', 0],
  [undefined, 0],
])('Retry-After: %s', (header, expected) => {
  expect(readRetryAfter(header, new Date('2026-01-31T12:00:00Z'))).toBe(expected)
})
