import { describe, expect, test } from '@jest/globals'
import { checkSystem } from './check.ts'
import type { Finding } from './rule.ts'
import { rules } from './rules.ts'
import { figureCases } from './testdata/figures.ts'
import { messageCases } from './testdata/messages.ts'
import { outsideCases } from './testdata/outside.ts'
import { sagaCases } from './testdata/sagas.ts'
import { syncCases } from './testdata/sync.ts'

const cases = [...syncCases, ...messageCases, ...sagaCases, ...outsideCases, ...figureCases]

describe.each(cases)('$code $name', ({ code, breaks, holds, says, also = [] }) => {
  test('the system that breaks it is refused, with path, cost and mend', () => {
    const { findings } = checkSystem(breaks)
    const mine = findings.filter((finding) => finding.code === code)
    expect(mine).not.toHaveLength(0)
    for (const text of mine.map(written)) {
      for (const part of says)
        expect(text).toEqual(part instanceof RegExp ? expect.stringMatching(part) : expect.stringContaining(part))
    }
    expect(new Set(findings.map((finding) => finding.code))).toEqual(new Set([code, ...also]))
  })

  test('its neighbour is not', () => {
    expect(checkSystem(holds).findings).toEqual([])
  })
})

test('every rule has a case', () => {
  const covered = new Set(cases.map(({ code }) => code))
  expect(rules.map(({ code }) => code).filter((code) => !covered.has(code))).toEqual([])
})

test('codes are unique, sorted within their areas, and never change their form', () => {
  const codes = rules.map(({ code }) => code)
  expect(codes).toEqual([...new Set(codes)].sort())
  for (const code of codes) expect(code).toMatch(/^PLY[1-7]\d\d$/)
})

function written({ path, message, cost, mend }: Finding): string {
  return [path.join(' '), message, cost ?? '', mend].join('\n')
}
