import { expect, test } from '@jest/globals'
import { momentOf } from './view.ts'

test.each([
  ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
  ['2024-02-29T23:59:59.999999999+01:00', '2024-02-29T22:59:59.999Z'],
])('%s is the moment %s', (text, moment) => {
  expect(momentOf(text).toISOString()).toBe(moment)
})

test.each(['2026-02-30T00:00:00Z', '2026-01-31T24:00:00Z', '2026-13-01T00:00:00Z', '2026-01-31', 'today', ''])(
  '"%s" is no moment, and not the next best one',
  (text) => {
    expect(() => momentOf(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  },
)
