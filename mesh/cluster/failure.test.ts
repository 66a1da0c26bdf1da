import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { rootDir } from '#test/sources.ts'
import { clusterProblems } from './failure.ts'

const file = join(rootDir, 'docs/reference/cluster-errors.md')

test('the page of what can go wrong on a cluster is what the code says today (otherwise: UPDATE_GOLDEN=1)', () => {
  const page = [
    '# What can go wrong on a cluster',
    '',
    '`parley up --target kind`, `apply`, `status` and `down --target kind` end with 3 and one of these; their message says what, where, and the',
    'next step. They end with 2 when they were used wrongly (an unknown mesh, environment, context or setting), and with 130 after Ctrl-C.',
    'What was done stays, and the same command continues from it.',
    '',
    '| code | meaning |',
    '|---|---|',
    ...Object.entries(clusterProblems).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`),
    '',
  ].join('\n')
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, page)
  expect(readFileSync(file, 'utf8')).toBe(page)
})
