import { describe, expect, test } from '@jest/globals'
import { RunFailure } from '#local/supervisor/failure.ts'
import type { AskAdmin } from '#mesh/admin/ask.ts'
import type { Admins } from './admins.ts'
import { listLetters, type Outcome, replayLetters, replayNamed } from './dead-letters.ts'

const down: AskAdmin = async () => {
  throw new RunFailure('nobody listens')
}
const broken: AskAdmin = async () => ({ status: 503, body: { message: 'its database is away' } })
/** Answers every path alike, as a program with nothing but a health page does. */
const plain: AskAdmin = async () => ({ status: 200, body: { message: 'ok' } })
/** Has two letters, and replays one at a time. */
const fine: AskAdmin = async (verb, _path, body) => {
  if (verb === 'GET') {
    const counts = [{ destination: 'orders', count: 2, oldest: '2026-01-01T00:00:00.000Z' }]
    return { status: 200, body: { counts, letters: [{ number: '1' }, { number: '2' }], next: null } }
  }
  const number = body?.after === '0' ? '1' : '2'
  return {
    status: 200,
    body: { outcomes: [{ number, eventId: 'e', outcome: 'handled' }], next: number === '1' ? '1' : null },
  }
}
/** Whoever fails is asked before the one that is fine. */
const admins: Admins = new Map([
  ['inventory', down],
  ['payments', broken],
  ['words', plain],
  ['shipping', fine],
])

describe('all dead letters are replayed', () => {
  test('though one service is down and another cannot; both are named with the reason', async () => {
    const told: Outcome[] = []
    const unfinished = await replayLetters(admins, {}, (outcome) => told.push(outcome))
    expect(told.map(({ service, number }) => `${service}/${number}`)).toEqual(['shipping/1', 'shipping/2'])
    expect(unfinished).toEqual([
      { service: 'inventory', reason: 'nobody listens' },
      { service: 'payments', reason: 'its database is away' },
    ])
  })

  test("but a programmer's error is not taken for a service that is down", async () => {
    const wrong: AskAdmin = async () => {
      throw new TypeError('of ours')
    }
    await expect(replayLetters(new Map([['shipping', wrong]]), {}, () => {})).rejects.toThrow(TypeError)
  })
})

test('a list names who is down and who cannot tell, with the reason, and not who has no dead letters', async () => {
  const { letters, unknown } = await listLetters(admins, {})
  expect(letters.map(({ service }) => service)).toEqual(['shipping', 'shipping'])
  expect(unknown).toEqual([
    { service: 'inventory', reason: 'nobody listens' },
    { service: 'payments', reason: 'its database is away' },
  ])
})

test('one letter of a service that knows none is a failure with what it said', async () => {
  await expect(replayNamed(admins, ['words/1'], () => {})).rejects.toThrow(new RunFailure('ok'))
})

test('of letters that are named together, one that was replayed because of another is not asked for again', async () => {
  const asked: string[] = []
  const chain: AskAdmin = async (_verb, path) => {
    asked.push(path)
    if (!path.includes('/1/')) return { status: 400, body: { message: 'The dead letter 2 is replayed already.' } }
    const outcomes = ['1', '2'].map((number) => ({ number, eventId: 'e', outcome: 'handled' }))
    return { status: 200, body: { outcomes, next: null } }
  }
  await replayNamed(new Map([['shipping', chain]]), ['shipping/1', 'shipping/2'], () => {})
  expect(asked).toEqual(['/dead-letters/1/replay'])
})
