import type { ServiceOffers } from './operate.ts'
import { table } from './table.ts'

const cellWidthMax = 60

/** What services offer, as the words to type. */
export function offersText(services: readonly ServiceOffers[]): string {
  const rows = services.flatMap(({ service, offers, silent }) => {
    if (silent !== undefined) return [[service, `does not tell: ${silent}`]]
    return offers.flatMap(({ name, ways }) => {
      // A service may not say how; then it is asked by its name.
      const known = ways.length > 0 ? ways : [{ verb: 'GET', path: '', what: '' }]
      return known.map(({ path, what }) => [
        `bin/parley operate ${service} ${[name, path].filter(Boolean).join('/')}`,
        what,
      ])
    })
  })
  if (rows.length > 0) return table(rows).join('\n')
  const names = services.map(({ service }) => service).join(', ')
  return `${names || 'Nobody'} offers nothing to operators.`
}

/** An answer for a person: lists as tables, everything else as one line a field. */
export function answerText(body: Readonly<Record<string, unknown>>): string {
  const blocks = Object.entries(body).map(([name, value]) => {
    if (!isList(value)) return `${name}: ${cell(value, Number.POSITIVE_INFINITY)}`
    if (value.length === 0) return `${name}: none`
    const columns = [...new Set(value.flatMap((row) => Object.keys(row)))]
    const rows = value.map((row) => columns.map((column) => cell(row[column], cellWidthMax)))
    return [`${name}:`, ...table([columns.map(heading), ...rows])].join('\n')
  })
  return blocks.join('\n')
}

function heading(field: string): string {
  return field.replaceAll(/([A-Z])/g, ' $1').toUpperCase()
}

function isList(value: unknown): value is readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) && value.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row))
}

function cell(value: unknown, widthMax: number): string {
  if (value === null || value === undefined) return '-'
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length > widthMax ? `${line.slice(0, widthMax - 1)}…` : line
}
