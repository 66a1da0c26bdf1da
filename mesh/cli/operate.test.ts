import { expect, test } from '@jest/globals'
import { RunFailure } from '#local/supervisor/failure.ts'
import type { AskAdmin } from '#mesh/admin/ask.ts'
import type { Admins } from './admins.ts'
import { UsageError } from './exit.ts'
import { offersOf, operate } from './operate.ts'
import { answerText, offersText } from './operate-text.ts'

const ways = [
  { verb: 'GET', path: '', what: 'all' },
  { verb: 'GET', path: 'NUMBER', what: 'one' },
  { verb: 'POST', path: 'replay', what: 'all again' },
]
/** Repeats what it was asked. */
const echo: AskAdmin = async (verb, path, said = {}) => {
  if (path === '/operations') return { status: 200, body: { operations: [{ name: 'letters', ways }] } }
  if (path === '/letters/0') return { status: 404, body: { message: 'there is no letter 0' } }
  return { status: 200, body: { asked: `${verb} ${path}`, said } }
}
const down: AskAdmin = async () => {
  throw new RunFailure('nobody listens')
}
const plain: AskAdmin = async () => ({ status: 200, body: { message: 'ok' } })
const admins: Admins = new Map([
  ['orders', echo],
  ['payments', down],
  ['words', plain],
])

test('an operation is asked by the verb of the way that fits, a word before a blank', async () => {
  const ask = (operation: string, ...values: string[]) => operate(admins, 'orders', operation, values)
  expect(await ask('letters', 'state=all')).toMatchObject({ asked: 'GET /letters?state=all' })
  expect(await ask('letters/12')).toMatchObject({ asked: 'GET /letters/12' })
  expect(await ask('letters/replay', 'after=1=2')).toEqual({ asked: 'POST /letters/replay', said: { after: '1=2' } })
})

test('what is wrong is said with what there is', async () => {
  const refused = async (service: string, operation: string, ...values: string[]) =>
    operate(admins, service, operation, values).catch((error: unknown) => error)
  expect(await refused('nobody', 'letters')).toEqual(
    new UsageError('There is no service nobody. There are: orders, payments, words.'),
  )
  expect(await refused('orders', 'letters/1/replay')).toMatchObject({
    name: 'UsageError',
    message: expect.stringMatching(/offers no letters\/1\/replay.*operate orders letters\/replay +all again/s),
  })
  expect(await refused('words', 'letters')).toMatchObject({ message: expect.stringContaining('words offers nothing') })
  expect(await refused('orders', 'letters', 'all')).toMatchObject({ message: expect.stringContaining('key=value') })
  expect(await refused('orders', 'letters/0')).toEqual(new UsageError('there is no letter 0'))
  expect(await refused('payments', 'letters')).toEqual(new RunFailure('nobody listens'))
})

test('what all offer is told though one is down', async () => {
  const text = offersText(await offersOf(admins))
  expect(text).toContain('bin/parley operate orders letters/NUMBER')
  expect(text).toMatch(/payments +does not tell: nobody listens/)
  expect(text).not.toContain('words')
})

test('what several offer is told once, with who they are', async () => {
  const text = offersText(await offersOf(new Map([...admins, ['shipping', echo]])))
  expect(text).toContain('At orders, shipping:')
  expect(text.match(/letters\/NUMBER/g)).toHaveLength(1)
  expect(text).toContain('bin/parley operate SERVICE letters/NUMBER')
})

test('an answer is shown with its lists as tables', () => {
  const body = {
    lag: 3,
    letters: [
      { id: 1, reason: null },
      { id: 2, at: { x: 1 } },
    ],
    none: [],
  }
  expect(answerText(body)).toBe(
    ['lag: 3', 'letters:', '  ID  REASON  AT', '  1   -       -', '  2   -       {"x":1}', 'none: none'].join('\n'),
  )
})
