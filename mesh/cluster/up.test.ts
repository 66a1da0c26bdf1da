import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { deployedWords } from './up.ts'

test('what the workflow looks for in a second run is what is said when nothing changes, and then alone', () => {
  const { jobs } = parse(readFileSync('.github/workflows/ci.yaml', 'utf8'))
  const { run } = jobs.kind.steps.find(
    ({ name }: { readonly name?: string }) => name === 'A second time changes nothing',
  )
  const pattern = new RegExp(/grep --extended-regexp '([^']+)'/.exec(run)?.[1] ?? '$^')
  const said = (created: number, changed: number, removed: number): string =>
    `   1.0 s  system ✓ ${deployedWords({ created, changed, unchanged: 99, removed })}`
  expect(said(0, 0, 0)).toMatch(pattern)
  for (const other of [said(10, 0, 0), said(1, 0, 0), said(0, 1, 0), said(0, 10, 0), said(0, 0, 10)])
    expect(other).not.toMatch(pattern)
})
