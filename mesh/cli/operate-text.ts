import type { Offered, ServiceOffers } from './operate.ts'
import { table } from './table.ts'

const cellWidthMax = 60

/** What services offer, as the words to type. What several of them offer is told once, with who they are. */
export function offersText(services: readonly ServiceOffers[]): string {
  const offers = services.flatMap(({ service, offers }) => offers.map((offer) => ({ service, offer })))
  const groups = [...Map.groupBy(offers, ({ offer }) => JSON.stringify(offer)).values()]
  const shared = groups.filter((group) => group.length > 1)
  const single = groups.filter((group) => group.length === 1)
  const blocks = [
    ...shared.map((group) => [
      `At ${group.map(({ service }) => service).join(', ')}:`,
      ...table(group.slice(0, 1).flatMap(({ offer }) => rowsOf('SERVICE', offer))),
    ]),
    table([
      ...single.flatMap((group) => group.flatMap(({ service, offer }) => rowsOf(service, offer))),
      ...services.flatMap(({ service, silent }) =>
        silent === undefined ? [] : [[service, `does not tell: ${silent}`]],
      ),
    ]),
  ]
  const text = blocks.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
  if (text.length > 0) return text.join('\n\n')
  const names = services.map(({ service }) => service).join(', ')
  return `${names || 'Nobody'} offers nothing to operators.`
}

function rowsOf(service: string, { name, ways }: Offered): string[][] {
  // A service may not say how; then it is asked by its name.
  const known = ways.length > 0 ? ways : [{ path: '', what: '' }]
  return known.map(({ path, what }) => [
    `bin/parley operate ${service} ${[name, path].filter(Boolean).join('/')}`,
    what,
  ])
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
