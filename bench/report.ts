import { quantile } from './load.ts'

/** One line of a report. `target` is what was promised, `claimed` what articles say; either may be missing. */
export type Line = {
  readonly what: string
  readonly measured: number
  readonly unit: string
  /** At most this, or at least this where `atLeast`. */
  readonly target?: number
  readonly atLeast?: boolean
  readonly claimed?: string
  readonly note?: string
}

/**
 * The median and the 99th percentile of latencies; what was promised or claimed is held against the median. What failed never
 * ended, and is counted.
 */
export function latencyLines(
  what: string,
  latenciesMs: readonly number[],
  more: Omit<Line, 'what' | 'measured' | 'unit'> = {},
): Line[] {
  const failed = latenciesMs.filter((latencyMs) => latencyMs === Number.POSITIVE_INFINITY).length
  const note = failed > 0 ? { note: `${failed} of ${latenciesMs.length} failed` } : {}
  return [
    { what: `${what}, p50`, measured: quantile(latenciesMs, 0.5), unit: 'ms', ...more },
    { what: `${what}, p99`, measured: quantile(latenciesMs, 0.99), unit: 'ms', ...note },
  ]
}

/** How much longer one took than another at the median. NaN where more than one in a hundred of either failed. */
export function ratioOf(latenciesMs: readonly number[], othersMs: readonly number[]): number {
  const whole = [latenciesMs, othersMs].every((each) => quantile(each, 0.99) < Number.POSITIVE_INFINITY)
  return whole ? quantile(latenciesMs, 0.5) / quantile(othersMs, 0.5) : Number.NaN
}

/** Prints lines as a table, and says of each whether it keeps what was promised. */
export function print(title: string, lines: readonly Line[]): void {
  console.log(`\n## ${title}\n`)
  console.log('| what | measured | target | claimed by the field | |')
  console.log('|---|---|---|---|---|')
  for (const line of lines) {
    const { what, measured, unit, target, atLeast = false, claimed = '', note = '' } = line
    const bound = target === undefined ? '' : `${atLeast ? '≥' : '≤'} ${target} ${unit}`
    console.log(
      `| ${what} | ${figure(measured)} ${unit} | ${bound} | ${claimed} | ${[verdict(line), note].filter(Boolean).join('; ')} |`,
    )
  }
}

function verdict({ measured, target, atLeast = false }: Line): string {
  if (target === undefined) return ''
  return (atLeast ? measured >= target : measured <= target) ? 'kept' : 'MISSED'
}

function figure(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '∞'
  if (Number.isNaN(value)) return '–'
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2)
}
