import { styleText } from 'node:util'
import type { Exchange } from './row.ts'
import type { Walked } from './walker.ts'

const lineWidthMax = 180
const titleWidth = 64

/** How what is printed looks: colours are for people at a terminal. */
export type Look = { readonly colours: boolean; readonly traceUrl: (traceId: string) => string }

/** A row as people read it: what was sent, what came back, who took part, how long it took, where its trace is. */
export function rowText(walked: Walked, { colours, traceUrl }: Look): string {
  const { number, pattern, failure, tookMs, exchanges, services, seen, traceId } = walked
  const paint = painter(colours)
  const verdict = failure === null ? paint('green', 'ok') : paint('red', 'FAILED')
  const facts = [
    ...(services.length > 0 ? [['services', services.join(', ')]] : []),
    ...(seen === null ? [] : [['seen', seen]]),
    ...(traceId === null ? [] : [['trace', traceUrl(traceId)]]),
    ...(failure === null ? [] : [['failed', paint('red', failure)]]),
  ]
  return [
    `${paint('bold', `${String(number).padStart(2)}  ${pattern.padEnd(titleWidth)}`)} ${verdict}  ${duration(tookMs)}`,
    ...exchanges.flatMap((exchange) => exchangeLines(exchange)),
    ...facts.map(([what = '', text = '']) => `      ${what.padEnd(9)} ${text}`),
    '',
  ].join('\n')
}

/** The last word: how many rows went well, and for each that did not where to look. */
export function summaryText(results: readonly Walked[], wanted: number, { colours, traceUrl }: Look): string {
  const paint = painter(colours)
  const failed = results.filter(({ failure }) => failure !== null)
  const left = wanted - results.length
  const counted = [
    `${results.length - failed.length} of ${wanted} rows went well`,
    ...(failed.length > 0 ? [`${failed.length} failed`] : []),
    ...(left > 0 ? [`${left} not walked`] : []),
  ].join(', ')
  const lines = failed.flatMap(({ number, name, failure, traceId }) => [
    `  ${number} ${name}: ${failure}`,
    ...(traceId === null ? [] : [`     its trace: ${traceUrl(traceId)}`]),
    `     look: bin/parley status · bin/parley logs · make demo ROW=${number}`,
  ])
  return [paint(failed.length + left > 0 ? 'red' : 'green', `${counted}.`), ...lines].join('\n')
}

/** The same for machines. Times are in milliseconds. */
export function resultsJson(results: readonly Walked[], { traceUrl }: Look): string {
  const rows = results.map(({ traceId, ...rest }) => ({
    ...rest,
    traceId,
    trace: traceId === null ? null : traceUrl(traceId),
  }))
  return JSON.stringify(
    { rows, failed: rows.filter(({ failure }) => failure !== null).map(({ number }) => number) },
    null,
    2,
  )
}

function exchangeLines({ sent, came, tookMs }: Exchange): string[] {
  return [`    → ${clipped(sent)}`, `    ← ${clipped(came)}  (${duration(tookMs)})`]
}

function clipped(text: string): string {
  const line = text.replaceAll(/\s*\n\s*/g, ' ')
  return line.length > lineWidthMax ? `${line.slice(0, lineWidthMax - 1)}…` : line
}

function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

function painter(colours: boolean): (colour: 'bold' | 'green' | 'red', text: string) => string {
  return (colour, text) => (colours ? styleText(colour, text, { validateStream: false }) : text)
}
