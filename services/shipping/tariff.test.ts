import { describe, expect, test } from '@jest/globals'
import { priceParcel } from './tariff.ts'

describe('a parcel', () => {
  test.each([
    ['DE', 1, 450, 1],
    ['DE', 1_000, 450, 1],
    ['DE', 1_001, 510, 1],
    ['FR', 2_500, 1_340, 2],
    ['JP', 31_500, 24_390, 5],
  ])('to %s of %d g costs %d cents and takes %d days or more', (country, grams, minorUnits, daysMin) => {
    expect(priceParcel(country, grams)).toMatchObject({ minorUnits, daysMin })
  })

  test('has a weight, and a country that we send to', () => {
    for (const grams of [0, -1, 31_501]) {
      expect(() => priceParcel('DE', grams)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
    }
    for (const country of ['XX', '', 'toString']) {
      expect(() => priceParcel(country, 1)).toThrow(expect.objectContaining({ code: 'not-found' }))
    }
  })
})
