/**
 * Rendering a large system: from a declaration of 1,000 services with 3,000 edges to files, against cdk8s's own synthesis of the
 * same objects and against Helm, which gets them as templates with nothing to compute. Each in a process of its own, taking turns.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { thisMachine } from '#local/toolchain/machine.ts'
import { findTestTool } from '#test/tools/tools.ts'
import { type Line, print } from '../report.ts'
import type { Figures } from './contender.ts'

const rounds = 3

function main(): void {
  const scratch = mkdtempSync(join(tmpdir(), 'parley-render-'))
  try {
    const helm = findTestTool('helm', thisMachine())
    const parley: Figures[] = []
    const cdk8s: Figures[] = []
    const helmMs: number[] = []
    for (let round = 0; round < rounds; round++) {
      parley.push(contender('parley', join(scratch, 'parley')))
      cdk8s.push(contender('cdk8s', join(scratch, 'cdk8s')))
      if (helm) helmMs.push(helmTemplate(helm, join(scratch, 'parley'), join(scratch, 'chart')))
    }
    print('Rendering 1,000 services with 3,000 edges', lines(parley, cdk8s, helmMs))
    if (!helm) console.log('\nHelm is not there: bin/node test/tools/main.ts bring helm')
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function lines(parley: readonly Figures[], cdk8s: readonly Figures[], helmMs: readonly number[]): readonly Line[] {
  const of = (figures: readonly Figures[], pick: (one: Figures) => number | null) =>
    median(figures.map((one) => pick(one) ?? Number.NaN))
  const ours = of(parley, ({ ms }) => ms)
  const objects = `${of(parley, (one) => one.objects)} objects`
  return [
    { what: 'Parley, from declaration to text', measured: ours, unit: 'ms', target: 1_000, note: objects },
    { what: 'and to files', measured: of(parley, (one) => one.writtenMs), unit: 'ms' },
    { what: 'its memory at most', measured: of(parley, (one) => one.memoryMiB), unit: 'MiB', target: 300 },
    { what: 'again after a change of one edge', measured: of(parley, (one) => one.changeMs), unit: 'ms', target: 100 },
    { what: 'checks of the same declaration', measured: of(parley, (one) => one.checkMs), unit: 'ms' },
    {
      what: 'cdk8s, synthesis of the same objects',
      measured: of(cdk8s, ({ ms }) => ms),
      unit: 'ms',
      note: `${of(cdk8s, (one) => one.objects)} objects`,
    },
    { what: 'its memory at most', measured: of(cdk8s, (one) => one.memoryMiB), unit: 'MiB' },
    { what: 'cdk8s / Parley', measured: of(cdk8s, ({ ms }) => ms) / ours, unit: '×' },
    ...(helmMs.length > 0
      ? [
          { what: 'helm template of the same objects', measured: median(helmMs), unit: 'ms' },
          { what: 'helm / Parley', measured: median(helmMs) / ours, unit: '×' },
        ]
      : []),
  ]
}

function contender(name: string, dir: string): Figures {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir)
  const out = execFileSync(process.execPath, [join(import.meta.dirname, 'contender.ts'), name, dir], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(out)
}

/** The whole command, as nobody uses Helm otherwise; a start of it costs some 50 ms. */
function helmTemplate(helm: string, files: string, chart: string): number {
  rmSync(chart, { recursive: true, force: true })
  mkdirSync(join(chart, 'templates'), { recursive: true })
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: large\nversion: 0.0.1\n')
  for (const entry of readdirSync(files, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())) {
    const text = readFileSync(join(entry.parentPath, entry.name), 'utf8').replaceAll('{{', '{{ "{{" }}')
    writeFileSync(join(chart, 'templates', `${basename(entry.parentPath)}-${entry.name}`), text)
  }
  const began = performance.now()
  execFileSync(helm, ['template', 'large', chart], { stdio: ['ignore', 'ignore', 'inherit'] })
  return performance.now() - began
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

main()
