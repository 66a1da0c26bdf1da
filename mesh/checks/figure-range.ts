import { wrongFigures } from './figure-ranges.ts'
import { rule } from './rule.ts'

/** Every other figure is possible. */
export const figureRange = rule({
  code: 'PLY602',
  title: 'Every figure is possible',
  why: 'A figure that cannot be is refused by the part that gets it, long after the declaration was reviewed, or is read as something else.',
  reference: 'The doc comment of the word in `mesh/graph`',
  acceptable: false,
  check: (system) => wrongFigures(system, 'other'),
})
