import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { checksReference } from './reference.ts'

const page = new URL('../../docs/reference/checks.md', import.meta.url)

/** `UPDATE_GOLDEN=1` writes the page anew; the diff is read in review. */
test('the reference page says what the rules say', () => {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(page, checksReference())
  expect(readFileSync(page, 'utf8')).toBe(checksReference())
})
