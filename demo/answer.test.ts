import { expect, test } from '@jest/globals'
import { answerInWords } from './answer.ts'

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  ...{ status, body, headers: new Headers(headers), tookMs: 1 },
})

test('an answer is told by what matters of it, and says where it had more', () => {
  const order = { orderId: 'o-1', lines: [], state: { name: 'placed' } }
  const replayed = answer(201, order, { 'idempotency-replayed': 'true' })
  expect(answerInWords(replayed, { headers: ['idempotency-replayed', 'etag'], fields: ['orderId', 'state'] })).toBe(
    '201  idempotency-replayed: true  {"orderId":"o-1","state":{"name":"placed"},…}',
  )
  expect(answerInWords(replayed, {})).toBe(`201  ${JSON.stringify(order)}`)
  expect(answerInWords(answer(304, '', { etag: '"a1"' }), { headers: ['etag'] })).toBe('304  etag: "a1"')
})

test('a problem is told by its code and its detail', () => {
  const problem = { type: 'urn:parley:problem:not-found', title: 'This does not exist', code: 'not-found' }
  expect(answerInWords(answer(404, { ...problem, detail: 'There is no order x' }), { fields: ['orderId'] })).toBe(
    '404  not-found: There is no order x',
  )
})
