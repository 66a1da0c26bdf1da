/**
 * `make test`: types, style, contracts, then the tests that start no process, then those that start the real parts.
 * Every step runs even when an earlier one failed; the last lines count all of it, and name what was skipped, and why.
 * Exits with 1 when anything failed. `make test ONLY=unit` (or `local`, `cluster`, `static`) runs a part.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootDir } from './sources.ts'

type Count = { passed: number; failed: number; skipped: number }
type Part = 'static' | 'unit' | 'local' | 'cluster'
type Step = { readonly name: string; readonly part: Part; readonly run: () => Count }

const jestReport = { passed: 'numPassedTests', failed: 'numFailedTests', skipped: 'numPendingTests' } as const
const scratch = mkdtempSync(join(tmpdir(), 'parley-test-'))
const skippedTests: string[] = []

const steps: readonly Step[] = [
  { name: 'types', part: 'static', run: () => check('node_modules/typescript/bin/tsc', ['--noEmit']) },
  { name: 'style', part: 'static', run: () => check('node_modules/@biomejs/biome/bin/biome', ['check', '.']) },
  { name: 'contracts', part: 'static', run: () => check('node_modules/@bufbuild/buf/bin/buf', ['lint', 'proto']) },
  {
    name: 'unit',
    part: 'unit',
    run: () => jest('unit', ['--testPathIgnorePatterns', '\\.local\\.test\\.ts$', '\\.cluster\\.test\\.ts$']),
  },
  // One at a time: each starts processes of its own, and two cores are soon full.
  {
    name: 'local',
    part: 'local',
    run: () => jest('local', ['--testPathPatterns', '\\.local\\.test\\.ts$', '--runInBand']),
  },
  {
    name: 'cluster',
    part: 'cluster',
    run: () => jest('cluster', ['--testPathPatterns', '\\.cluster\\.test\\.ts$', '--runInBand']),
  },
]

async function main(): Promise<void> {
  const only = process.argv[2]
  const chosen = steps.filter(({ part }) => !only || part === only)
  const total: Count = { passed: 0, failed: 0, skipped: 0 }
  const tools = chosen.some(({ part }) => part === 'local') ? bringTools() : null
  for (const { name, part, run } of chosen) {
    console.log(`\n── ${name}`)
    if (part === 'local') await tools?.ready()
    const began = performance.now()
    const count = run()
    total.passed += count.passed
    total.failed += count.failed
    total.skipped += count.skipped
    console.log(`── ${name}: ${describe(count)} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  }
  rmSync(scratch, { recursive: true, force: true })
  if (skippedTests.length > 0) console.log(`\nskipped:\n${skippedTests.map((name) => `  ${name}`).join('\n')}`)
  console.log(`\n${describe(total)}`)
  process.exitCode = total.failed > 0 || total.passed + total.skipped === 0 ? 1 : 0
}

/**
 * What judges rendered output is built from source the first time, which takes minutes: it is brought while the first
 * steps run. A tool that cannot be brought is told of, and its tests count as skipped.
 */
function bringTools(): { readonly ready: () => Promise<void> } {
  const log = join(scratch, 'tools.log')
  const child = spawn(process.execPath, ['test/tools/main.ts', 'bring'], {
    cwd: rootDir,
    stdio: ['ignore', 'ignore', openSync(log, 'w')],
  })
  const ended = once(child, 'exit')
  return {
    ready: async () => {
      await ended
      process.stderr.write(readFileSync(log))
    },
  }
}

/** A tool that only says yes or no counts as one test. */
function check(script: string, args: readonly string[]): Count {
  const failed = node([script, ...args]) !== 0
  return { passed: failed ? 0 : 1, failed: failed ? 1 : 0, skipped: 0 }
}

function jest(name: string, args: readonly string[]): Count {
  const reportFile = join(scratch, `${name}.json`)
  const status = node(
    ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', ...args, '--json', `--outputFile=${reportFile}`],
    'ignore',
  )
  const report = readReport(reportFile)
  if (!report) return { passed: 0, failed: 1, skipped: 0 }
  const count = {
    passed: report[jestReport.passed],
    failed: report[jestReport.failed],
    skipped: report[jestReport.skipped],
  }
  for (const { assertionResults } of report.testResults) {
    const skipped = assertionResults.filter(({ status }) => status === 'pending')
    skippedTests.push(...skipped.map(({ fullName }) => fullName))
  }
  // A file that cannot even be loaded has no failed test of its own; it must still count.
  return status !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count
}

function node(args: readonly string[], stdout: 'inherit' | 'ignore' = 'inherit'): number {
  const env = { ...process.env, NODE_NO_WARNINGS: '1' }
  return spawnSync(process.execPath, args, { cwd: rootDir, stdio: ['ignore', stdout, 'inherit'], env }).status ?? 1
}

type JestReport = Readonly<Record<(typeof jestReport)[keyof typeof jestReport], number>> & {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}

function readReport(file: string): JestReport | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}

function describe({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

await main()
