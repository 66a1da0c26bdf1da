import { wrongFigures } from './figure-ranges.ts'
import { rule } from './rule.ts'

/** Nothing is without a bound. */
export const unbounded = rule({
  code: 'PLY601',
  title: 'Everything has a bound',
  why: 'What has no bound is bounded by memory, at the worst moment. Some servers read 0 as "no limit", so 0 is none either.',
  reference: 'Michael Nygard, Release It!, "Unbounded Result Sets" and "Bulkheads"',
  check: (system) => wrongFigures(system, 'bound'),
})
