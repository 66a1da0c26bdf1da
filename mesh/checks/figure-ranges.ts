import type { SystemNode } from '#graph/system.ts'
import { type Figure, type FigureKind, figuresOf } from './figures.ts'
import type { Breach } from './rule.ts'
import { count } from './text.ts'

/** The figures of one kind that cannot be meant, or that bound nothing. */
export function wrongFigures(system: SystemNode, kind: FigureKind): Breach[] {
  return figuresOf(system)
    .filter((figure) => figure.kind === kind && !fits(figure))
    .map((figure) => ({
      path: figure.path,
      message: `${figure.word} of ${figure.path.join(' ')} is ${written(figure)}: ${harm(figure)}.`,
      cost: null,
      mend: `Set \`${figure.word}\` to ${range(figure)}.`,
      owners: figure.owners,
    }))
}

function fits({ value, min, max, whole }: Figure): boolean {
  return value !== null && value >= min && value <= max && (!whole || Number.isInteger(value))
}

function harm({ value, min, max }: Figure): string {
  if (value === null || value === Number.POSITIVE_INFINITY) return 'nothing bounds it'
  if (Number.isNaN(value)) return 'that is no number'
  if (value < min) return isAboveZero(min) ? 'it has to be above 0' : `that is less than ${count(min)}`
  if (value > max) return `beyond ${count(max)} it is as good as no bound`
  return 'that is no whole number'
}

function written({ value }: Figure): string {
  return value === null || !Number.isInteger(value) ? String(value) : count(value)
}

function range({ min, max, whole }: Figure): string {
  const lower = isAboveZero(min) ? 'above 0' : `from ${count(min)}`
  return `a ${whole ? 'whole ' : ''}number ${lower} to ${max < 1 ? max : count(max)}`
}

/** Where the least is no figure of its own: anything above zero will do. */
function isAboveZero(min: number): boolean {
  return min === Number.MIN_VALUE
}
