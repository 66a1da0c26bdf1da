import { expect, test } from '@jest/globals'
import {
  afterFailure,
  afterSuccess,
  disableAfterMs,
  failuresMax,
  type Health,
  healthy,
  probeBaseMs,
  probeMsMax,
} from './health.ts'

const began = new Date('2026-01-31T12:00:00Z')
const after = (ms: number) => new Date(began.getTime() + ms)

function failing(times: number, from: Health = healthy): Health {
  let health = from
  for (let count = 0; count < times; count += 1) health = afterFailure(health, 'timeout', began)
  return health
}

test('failures in a row pause it, and one success in between does not let them add up', () => {
  expect(failing(failuresMax - 1).state).toBe('active')
  expect(failing(failuresMax - 1, afterSuccess(failing(failuresMax - 1))).state).toBe('active')
  expect(failing(failuresMax)).toMatchObject({ state: 'paused', reason: 'failing', probeAt: after(probeBaseMs) })
})

test('what was under way when it was paused moves nothing; each probe in vain doubles the wait, up to the maximum', () => {
  const paused = failing(failuresMax)
  expect(failing(3, paused).probeAt).toEqual(paused.probeAt)
  let health = paused
  const waits: number[] = []
  for (let count = 0; count < 9; count += 1) {
    const at = health.probeAt ?? began
    health = afterFailure(health, 'timeout', at)
    waits.push(Number(health.probeAt) - at.getTime())
  }
  expect(waits.slice(0, 3)).toEqual([2 * probeBaseMs, 4 * probeBaseMs, 8 * probeBaseMs])
  expect(waits.at(-1)).toBe(probeMsMax)
  expect(afterSuccess(health)).toEqual(healthy)
})

test('what became of a process of ours says nothing about it', () => {
  expect(afterFailure(healthy, 'attempts-used-up', began)).toEqual(healthy)
})

test('days of failing, or saying that it is gone, disable it; its owner’s pause stays whatever arrives', () => {
  expect(afterFailure(failing(failuresMax), 'timeout', after(disableAfterMs))).toMatchObject({
    state: 'disabled',
    reason: 'failing',
  })
  expect(afterFailure(healthy, 'gone', began)).toMatchObject({ state: 'disabled', reason: 'gone' })
  const asked: Health = { ...healthy, state: 'paused', reason: 'asked' }
  expect(failing(failuresMax + 1, asked)).toMatchObject({ state: 'paused', reason: 'asked', probeAt: null })
  expect(afterSuccess(failing(1, asked))).toEqual(asked)
  // An attempt that was under way when its owner paused it after days of failing: what comes now is kept all the same.
  expect(afterFailure(failing(1, asked), 'timeout', after(disableAfterMs))).toMatchObject({
    state: 'paused',
    reason: 'asked',
  })
})
