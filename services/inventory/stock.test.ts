import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decideReservation, merged } from './stock.ts'

const available = new Map([
  ['p-1', 3],
  ['p-2', 1],
])

describe('a reservation', () => {
  test('takes all lines, or none', () => {
    const lines = [
      { productId: 'p-2', quantity: 1 },
      { productId: 'p-1', quantity: 3 },
    ]
    expect(decideReservation(available, lines)).toEqual({ kind: 'reserved', lines: [...lines].reverse() })
    expect(decideReservation(available, [...lines, { productId: 'p-2', quantity: 1 }])).toEqual({
      kind: 'rejected',
      reason: 'only 1 of p-2 left',
    })
  })

  test('names a product that nobody knows', () => {
    expect(decideReservation(available, [{ productId: 'p-9', quantity: 1 }])).toEqual({
      kind: 'rejected',
      reason: 'unknown product p-9',
    })
  })

  test('never takes more than there is, however the lines are cut', () => {
    const line = fc.record({ productId: fc.constantFrom('p-1', 'p-2'), quantity: fc.integer({ min: 1, max: 3 }) })
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 5 }), (lines) => {
        const enough = merged(lines).every(({ productId, quantity }) => quantity <= (available.get(productId) ?? 0))
        expect(decideReservation(available, lines).kind).toBe(enough ? 'reserved' : 'rejected')
      }),
    )
  })
})
