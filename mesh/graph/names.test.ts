import { describe, expect, test } from '@jest/globals'
import { retryQueue, retryQueues } from './names.ts'

const waits = (attempts: number, baseMs: number, maxMs: number) =>
  retryQueues('emails', { attempts, backoff: { baseMs, maxMs } }).map(({ name, waitMs }) => `${name} ${waitMs}`)

describe('the queues in which tasks wait', () => {
  test('are one for each doubling up to the ceiling, as far as the attempts go', () => {
    expect(waits(10, 200, 1_000)).toEqual([
      'emails.retry-1 200',
      'emails.retry-2 400',
      'emails.retry-3 800',
      'emails.retry 1000',
    ])
    expect(waits(10, 250, 1_000)).toEqual(['emails.retry-1 250', 'emails.retry-2 500', 'emails.retry 1000'])
    expect(waits(3, 200, 1_000)).toEqual(['emails.retry-1 200', 'emails.retry 400'])
    expect(waits(10, 1_000, 1_000)).toEqual(['emails.retry 1000'])
  })

  test('are few, and `emails.retry` is always one of them: what waits there stays reachable', () => {
    expect(waits(1, 100, 5_000)).toEqual(['emails.retry 100'])
    const most = waits(1_000, 1, 7 * 24 * 3_600_000)
    expect([most.length, most.at(-1)]).toEqual([31, 'emails.retry 604800000'])
  })

  test('take a task by its failed attempts, and the last one all further', () => {
    const redelivery = { attempts: 10, backoff: { baseMs: 200, maxMs: 1_000 } }
    const names = [1, 2, 3, 4, 9].map((attempt) => retryQueue('emails', redelivery, attempt).name)
    expect(names).toEqual(['emails.retry-1', 'emails.retry-2', 'emails.retry-3', 'emails.retry', 'emails.retry'])
  })
})
