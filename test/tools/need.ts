import { test } from '@jest/globals'
import { thisMachine } from '#local/toolchain/machine.ts'
import { findCrds } from './crds.ts'
import { findTestTool, type TestToolName } from './tools.ts'

/** What a test may need beside the checkout: a tool, or the operators' CRDs as data. */
export type Need = TestToolName | 'crds'

const howToGet = 'bin/node test/tools/main.ts bring'
const whereCrds = 'set PARLEY_CRDS to a folder of CRDs'
const machine = thisMachine()

/** What is needed and not there, with the way to get it; null where all is there. */
export function missingNeeds(needs: readonly Need[]): string | null {
  const missing = needs.filter((need) => find(need) === null)
  if (missing.length === 0) return null
  const ways = [...new Set(missing.map((need) => (need === 'crds' ? whereCrds : howToGet)))]
  return `${missing.join(' and ')} missing: ${ways.join(', and ')}`
}

/** The path of something that `missingNeeds` found to be there. */
export function pathOf(need: Need): string {
  const path = find(need)
  if (path === null) throw new Error(`${need} is missing: ${need === 'crds' ? whereCrds : howToGet}`)
  return path
}

/** A test that counts as skipped, and says why, where something that it needs is not there. */
export function testWith(
  needs: readonly Need[],
  title: string,
  body: () => void | Promise<void>,
  timeoutMs = 120_000,
): void {
  const missing = missingNeeds(needs)
  if (missing === null) test(title, body, timeoutMs)
  else test.skip(`${title} (${missing})`, body)
}

function find(need: Need): string | null {
  return need === 'crds' ? findCrds() : findTestTool(need, machine)
}
