/** The rendered objects of every system, environment and mesh, as two linters of other people see them. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect } from '@jest/globals'
import { toYaml } from '#cdk8s/yaml.ts'
import { pythonWithPip } from '#local/toolchain/clients.ts'
import { thisMachine } from '#local/toolchain/machine.ts'
import { type ClusterEnvironment, renderedCases } from '../fixtures/rendered.ts'
import { pathOf, testWith } from '../tools/need.ts'
import { checkovDir } from '../tools/tools.ts'
import { checkovSkips, isKept, kubeScoreFlags, kubeScoreSkips, skippedIn } from './lint-skips.ts'

const run = promisify(execFile)
const cases = renderedCases()
const outputBytesMax = 256 * 1024 * 1024
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-lint-'))
  for (const { title, environment, objects } of cases) {
    mkdirSync(join(folder, environment), { recursive: true })
    writeFileSync(fileOf(title, environment), toYaml(objects))
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('kube-score finds nothing critical', () => {
  for (const { title, environment } of cases) {
    testWith(['kube-score'], title, async () => {
      const ignored = skippedIn(environment, kubeScoreSkips).flatMap((id) => ['--ignore-test', id])
      const options = [
        '--output-format',
        'json',
        '--kubernetes-version',
        'v1.34',
        ...Object.keys(kubeScoreFlags),
        ...ignored,
      ]
      const args = ['score', ...options, fileOf(title, environment)]
      const scored = JSON.parse(await outputOf(pathOf('kube-score'), args)) as readonly ScoredObject[]
      expect(scored.length).toBeGreaterThan(0)
      expect(scored.flatMap((object) => criticalOf(object, environment))).toEqual([])
    })
  }
})

describe('checkov finds nothing wrong', () => {
  for (const environment of ['kind', 'production'] as const) {
    testWith(
      ['checkov'],
      environment,
      async () => {
        const { summary, results } = await checkov(environment)
        expect(summary.passed).toBeGreaterThan(0)
        const failed = results.failed_checks.map(({ check_id: id, check_name: name, resource, file_path: file }) =>
          [id, name, file, resource].join(' '),
        )
        expect(failed).toEqual([])
      },
      300_000,
    )
  }
})

/** It takes long to start, so one run judges a whole folder. */
async function checkov(environment: ClusterEnvironment): Promise<CheckovReport> {
  const python = await pythonWithPip(thisMachine())
  if (python === null) throw new Error('Checkov is there, and no Python that runs it')
  const where = ['--directory', join(folder, environment), '--framework', 'kubernetes', '--skip-download']
  const args = [
    '--output',
    'json',
    '--compact',
    '--quiet',
    '--skip-check',
    skippedIn(environment, checkovSkips).join(','),
  ]
  return JSON.parse(await outputOf(python, [pathOf('checkov'), ...where, ...args], { PYTHONPATH: checkovDir }))
}

type ScoredObject = {
  readonly object_name: string
  readonly type_meta: { readonly kind: string }
  readonly object_meta: { readonly name: string }
  readonly checks: readonly {
    readonly check: { readonly id: string; readonly name: string }
    readonly grade: number
    readonly skipped: boolean
    readonly comments: readonly { readonly summary: string; readonly path: string }[] | null
  }[]
}

type CheckovReport = {
  readonly summary: { readonly passed: number; readonly failed: number }
  readonly results: {
    readonly failed_checks: readonly Readonly<Record<'check_id' | 'check_name' | 'resource' | 'file_path', string>>[]
  }
}

/** Grades of kube-score: 1 is critical, 5 a warning, 10 all good. */
function criticalOf(
  { type_meta: { kind }, object_meta: { name }, checks }: ScoredObject,
  environment: ClusterEnvironment,
): readonly string[] {
  return checks
    .filter(({ grade, skipped }) => grade === 1 && !skipped)
    .filter(({ check }) => !kubeScoreSkips.some((skip) => isKept(skip, check.id, environment, name)))
    .map(
      ({ check, comments }) =>
        `${check.id} ${kind} ${name}: ${comments?.map(({ path, summary }) => `${path} ${summary}`)}`,
    )
}

function fileOf(title: string, environment: ClusterEnvironment): string {
  return join(folder, environment, `${title.replaceAll(' ', '-')}.yaml`)
}

/** Linters end with 1 when they find something; what, stands in their output. */
async function outputOf(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = { maxBuffer: outputBytesMax, env: { ...process.env, ...env } }
  const { stdout } = await run(program, args, options).catch((error: { stdout: string; stderr: string }) => {
    if (error.stdout?.startsWith('{') || error.stdout?.startsWith('[')) return error
    throw new Error(`${program} failed: ${error.stderr || error}`)
  })
  return stdout
}
