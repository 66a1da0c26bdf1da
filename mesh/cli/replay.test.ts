import { expect, jest, test } from '@jest/globals'
import { Command } from 'commander'
import { RunFailure } from '#local/supervisor/failure.ts'
import type { AskAdmin } from '#mesh/admin/ask.ts'
import { UsageError } from './exit.ts'
import { replay, replayCommand } from './replay.ts'

/** A processor whose replay takes three looks. */
function processor(end: object): { ask: AskAdmin; asked: unknown[] } {
  const asked: unknown[] = []
  let looks = 0
  const ask: AskAdmin = async (verb, path, body) => {
    asked.push([verb, path, body])
    if (verb === 'POST') return { status: 200, body: { generation: 2, from: 'beginning' } }
    looks += 1
    const running = { state: 'running', generation: 2, partitions: [{ next: String(looks), end: '3' }] }
    return { status: 200, body: looks < 3 ? running : { generation: 2, from: 'beginning', ...end } }
  }
  return { ask, asked }
}

test('a replay is begun with what was said, followed, and its end is told', async () => {
  const told: string[] = []
  const { ask, asked } = processor({ state: 'done', rebuiltFrom: 'beginning' })
  const options = { from: ['offset', '42'], topic: 'orders' }
  expect(await replay(new Map([['analytics', ask]]), 'analytics', options, (line) => told.push(line), 1)).toBe(true)
  expect(asked[0]).toEqual(['POST', '/replay', { from: 'offset 42', topic: 'orders' }])
  expect(told).toEqual([
    'analytics is rebuilt from beginning, as generation 2; what it knew is read until then.',
    '2 records to go.',
    '1 records to go.',
    'analytics was rebuilt from beginning.',
  ])
})

test('one that was given up meanwhile fails, and one that the log could not serve says from when it was', async () => {
  const told: string[] = []
  const cancelled = processor({ state: 'cancelled' }).ask
  const cut = processor({ state: 'done', rebuiltFrom: '2026-11-21T09:00:00.000Z' }).ask
  const admins = new Map([
    ['a', cancelled],
    ['b', cut],
  ] as const)
  expect(await replay(admins, 'a', { from: ['beginning'] }, () => {}, 1)).toBe(false)
  expect(await replay(admins, 'b', { from: ['beginning'] }, (line) => told.push(line), 1)).toBe(true)
  expect(told.at(-1)).toContain('rebuilt from 2026-11-21T09:00:00.000Z: the log no longer holds')
})

test('a service that is away for a moment goes on with its replay, and one that stays away is told of', async () => {
  const told: string[] = []
  const { ask } = processor({ state: 'done', rebuiltFrom: 'beginning' })
  let asked = 0
  const restarted: AskAdmin = async (...given) => {
    asked += 1
    if (asked === 3) throw new RunFailure('admin.sock does not answer')
    return ask(...given)
  }
  expect(await replay(new Map([['a', restarted]]), 'a', { from: ['beginning'] }, (line) => told.push(line), 1)).toBe(
    true,
  )
  expect(told).toContain('a does not answer now; its replay goes on with it.')
  const gone: AskAdmin = async (verb, ...given) => {
    if (verb === 'GET') throw new RunFailure('admin.sock does not answer')
    return ask(verb, ...given)
  }
  await expect(replay(new Map([['a', gone]]), 'a', { from: ['beginning'] }, () => {}, 1, 20)).rejects.toThrow(
    RunFailure,
  )
})

test('what cannot be is said with the reason, and a service without a processor is no fault of the run', async () => {
  const answering =
    (status: number, message: string): AskAdmin =>
    async () => ({ status, body: { message } })
  const admins = new Map([
    ['fixed', answering(409, 'it did not declare that it can be rebuilt')],
    ['plain', answering(404, 'There is no /replay')],
    ['down', answering(503, 'its database is away')],
  ])
  const asked = (service: string) => replay(admins, service, { from: ['beginning'] }, () => {}, 1)
  await expect(asked('fixed')).rejects.toThrow(new UsageError('it did not declare that it can be rebuilt'))
  await expect(asked('plain')).rejects.toThrow(UsageError)
  await expect(asked('nobody')).rejects.toThrow(UsageError)
  await expect(asked('down')).rejects.toThrow(new RunFailure('its database is away'))
})

test.each([
  ['analytics --from beginning --no-wait', 'beginning'],
  ['--from beginning analytics --no-wait', 'beginning'],
  ['--from 2026-11-21T09:30:00Z --no-wait analytics', '2026-11-21T09:30:00Z'],
  ['--no-wait --from offset 42 analytics', 'offset 42'],
  ['--no-wait analytics --from offset 42', 'offset 42'],
])('the words may come in any order: replay %s', async (words, from) => {
  const { ask, asked } = processor({ state: 'done' })
  const program = new Command()
  replayCommand(program, async () => new Map([['analytics', ask]]))
  const printed = jest.spyOn(process.stdout, 'write').mockReturnValue(true)
  await program.parseAsync(['replay', ...words.split(' ')], { from: 'user' })
  printed.mockRestore()
  expect(asked).toEqual([['POST', '/replay', { from }]])
})

test.each(['--from beginning', '--from offset 42', '--cancel', '', 'analytics --from beginning orders'])(
  'one service must be named: replay %s',
  async (words) => {
    const { ask, asked } = processor({ state: 'done' })
    const program = new Command()
    replayCommand(program, async () => new Map([['analytics', ask]]))
    const said = ['replay', ...words.split(' ').filter((word) => word !== '')]
    await expect(program.parseAsync(said, { from: 'user' })).rejects.toThrow(UsageError)
    expect(asked).toEqual([])
  },
)
