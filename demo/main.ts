/**
 * `make demo`: every row of the table of patterns, shown on the running shop by real requests. It prints for each what was
 * sent, what came back, who took part as its trace tells, how long it took, and where the trace is. Exits with 1 where a row
 * fails, with 2 where nothing runs or there is no such row.
 *
 *     make demo              all of them
 *     make demo ROW=6        one; ROW=6,7 or ROW=request-reply as well
 *     make demo JSON=1       for machines
 *
 * A new row is a file in `rows/` and a line in `rows.ts`. What `walk` asks by `visit.request` is shown and is in the row's
 * trace; it throws, mostly by `must`, where something is not as the pattern promises. `services` names who has to be in that trace.
 */
import { parseArgs } from 'node:util'
import { exitCodes, UsageError } from '#mesh/cli/exit.ts'
import { print } from '#mesh/cli/output.ts'
import { type Look, resultsJson, rowText, summaryText } from './report.ts'
import type { Row } from './row.ts'
import { disruptiveRows, rows } from './rows.ts'
import { findShop } from './shop.ts'
import { zipkinAt } from './trace.ts'
import { walkAll } from './walker.ts'

const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    json: { type: 'boolean', default: false },
    state: { type: 'string' },
    system: { type: 'string' },
  },
})

async function main(): Promise<number> {
  const chosen = chosenRows(values.row)
  const { state, system } = values
  const shop = await findShop({ ...(state !== undefined && { state }), ...(system !== undefined && { system }) })
  const { address, port } = shop.layout.zipkin
  const zipkin = `http://${address}:${port}`
  const look: Look = {
    colours: process.stdout.isTTY === true && !process.env.NO_COLOR,
    traceUrl: (traceId) => `${zipkin}/zipkin/traces/${traceId}`,
  }
  const interrupted = new AbortController()
  // What a row has stopped is started again before this ends; a second Ctrl-C does not wait for that.
  process.once('SIGINT', () => interrupted.abort(new Error('It was interrupted')))
  if (chosen === rows && !values.json) {
    const last = disruptiveRows.map(({ number }) => number).join(' and ')
    print(`${rows.length} rows of the table of patterns. ${last} come last: they take a service away for a while.\n`)
  }
  const results = await walkAll(chosen, shop, zipkinAt(zipkin), interrupted.signal, (walked) => {
    if (!values.json) print(rowText(walked, look))
  })
  print(values.json ? resultsJson(results, look) : summaryText(results, chosen.length, look))
  if (interrupted.signal.aborted) return exitCodes.interrupted
  return results.every(({ failure }) => failure === null) ? exitCodes.fine : exitCodes.findings
}

function chosenRows(given: string | undefined): readonly Row[] {
  if (!given) return rows
  return given.split(',').map((wanted) => {
    const row = rows.find(({ number, name }) => wanted === String(number) || wanted === name)
    if (row) return row
    const known = [...rows].sort((a, b) => a.number - b.number).map(({ number, name }) => `${number} ${name}`)
    throw new UsageError(`There is no row ${wanted}. There are: ${known.join(', ')}.`)
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = exitCodes.usage
}
