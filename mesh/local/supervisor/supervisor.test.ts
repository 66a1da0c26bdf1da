import { describe, expect, test } from '@jest/globals'
import type { ProcessSpec } from '../process.ts'
import { membersOf, orderProblems, podNames, stopWaves } from './order.ts'
import { backoffMs, evolve, isHopeless, type ProcessEvent, stoppedRecord } from './record.ts'
import { memoryByLeader } from './status.ts'

type Named = Pick<ProcessSpec, 'name' | 'kind' | 'needs'>

const process = (name: string, kind: ProcessSpec['kind'], ...needs: string[]): Named => ({ name, kind, needs })
const shop = [
  process('epmd', 'part'),
  process('rabbitmq', 'part', 'epmd'),
  process('kafka', 'part'),
  process('orders.sidecar', 'sidecar'),
  process('orders', 'service', 'orders.sidecar', 'kafka'),
  process('bank', 'standin'),
]

describe('the order of processes', () => {
  test('services stop first, then sidecars, then parts, and nobody before those who need it', () => {
    expect(stopWaves(shop).map((wave) => wave.map(({ name }) => name))).toEqual([
      ['orders'],
      ['orders.sidecar'],
      ['rabbitmq', 'kafka', 'bank'],
      ['epmd'],
    ])
  })

  test('a need that is not there, a circle and a name given twice are told', () => {
    expect(orderProblems(shop)).toEqual([])
    expect(orderProblems([process('a', 'part', 'b')])).toEqual(['a needs b, which is not there'])
    expect(orderProblems([process('a', 'part', 'b'), process('b', 'part', 'a')])).toEqual([
      'a, b need one another in a circle',
    ])
    expect(orderProblems([process('a', 'part'), process('a', 'part')])).toEqual(['two processes are called a'])
  })

  test('a service stands for itself and its sidecar, a part for itself', () => {
    expect(membersOf(shop, 'orders').map(({ name }) => name)).toEqual(['orders.sidecar', 'orders'])
    expect(membersOf(shop, 'orders.sidecar').map(({ name }) => name)).toEqual(['orders.sidecar'])
    expect(membersOf(shop, 'order')).toEqual([])
    expect(podNames(shop)).toEqual(['bank', 'epmd', 'kafka', 'orders', 'rabbitmq'])
  })
})

describe('the record of a process', () => {
  /** What a record becomes of events, each at its time. */
  const following = (...events: readonly (readonly [atMs: number, event: ProcessEvent])[]) =>
    events.reduce((record, [atMs, event]) => evolve(record, event, atMs), stoppedRecord)
  const crash: ProcessEvent = { kind: 'ended', how: 'ended with code 1' }
  const ready: ProcessEvent = { kind: 'ready' }

  test('backoff doubles from 250 ms to 10 s', () => {
    expect([1, 2, 3, 6, 7, 40].map(backoffMs)).toEqual([250, 500, 1000, 8000, 10_000, 10_000])
  })

  test('a process that crashes waits longer each time, and is given up on after the third', () => {
    const twice = following([0, crash], [300, { kind: 'spawned', pid: 7 }], [310, ready], [400, crash])
    expect(twice).toMatchObject({ state: 'backoff', delayMs: 500, failures: 2, restarts: 2, pid: null })
    expect(isHopeless(twice)).toBe(false)
    const thrice = evolve(twice, crash, 900)
    expect(isHopeless(thrice)).toBe(true)
    expect(thrice.lastExit).toBe('ended with code 1')
  })

  test('30 s of health give a fresh count, a moment less does not', () => {
    expect(following([0, crash], [0, ready], [30_000, crash])).toMatchObject({ failures: 1, delayMs: 250, restarts: 2 })
    expect(following([0, crash], [0, ready], [29_999, crash])).toMatchObject({ failures: 2, delayMs: 500 })
  })

  test('health counts from the first readiness, through a spell of not being ready', () => {
    const record = following([0, ready], [20_000, { kind: 'unready' }], [25_000, ready])
    expect(record).toMatchObject({ state: 'ready', readyAtMs: 0 })
    expect(following([0, ready], [5, { kind: 'unready' }]).state).toBe('degraded')
  })

  test('what was late once is not waited for again', () => {
    expect(isHopeless(following([0, { kind: 'ended', how: 'was not ready within 60 s', late: true }]))).toBe(true)
  })

  test('stopped on purpose, it owes nothing', () => {
    expect(following([0, crash], [1, { kind: 'stopped' }])).toMatchObject({
      state: 'stopped',
      failures: 0,
      restarts: 1,
    })
  })
})

test('the memory of a process counts all that it started, in whatever session, and what lost its parent', () => {
  const row = (pid: number, parent: number, group: number) => ({
    ...{ pid, parent, group, session: group },
    ...{ state: 'S', startTicks: 0 },
  })
  const postgres = [row(10, 1, 10), row(11, 10, 11), row(12, 11, 11)]
  const rabbitmq = [row(20, 1, 20), row(21, 1, 20)]
  const bytes = memoryByLeader([10, 20], [...postgres, ...rabbitmq, row(30, 1, 30)], (pid) => pid)
  expect(Object.fromEntries(bytes)).toEqual({ 10: 33, 20: 41 })
})
