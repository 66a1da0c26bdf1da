import { expect, test } from '@jest/globals'
import { readinessOf } from './readiness.ts'
import { liveCases } from './testdata/live.ts'

test.each(liveCases)('$what', ({ object, state, reason }) => {
  expect(readinessOf(object)).toMatchObject(reason === undefined ? { state } : { state, reason })
})
