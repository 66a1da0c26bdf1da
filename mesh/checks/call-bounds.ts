import { wrongFigures } from './figure-ranges.ts'
import { rule } from './rule.ts'

/** How a call ends is declared in figures that mean something. */
export const callBounds = rule({
  code: 'PLY104',
  title: 'Every call has a deadline and a breaker that can work',
  why: 'Without a deadline a caller waits as long as a hanging callee pleases; a breaker that never opens, or never closes, is none.',
  reference: 'Michael Nygard, Release It!, "Timeouts" and "Circuit Breaker"',
  check: (system) => wrongFigures(system, 'call'),
})
