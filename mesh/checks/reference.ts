import { acceptanceRule } from './acceptances.ts'
import type { Rule } from './rule.ts'
import { areas } from './rules.ts'

/** The reference page of all rules, as Markdown. `docs/reference/checks.md` is this, and a test proves it fresh. */
export function checksReference(): string {
  const all = [...areas, { title: 'Acceptances', rules: [acceptanceRule] }]
  return [
    '# Checks',
    '',
    'Generated from `mesh/checks`; refreshed by `UPDATE_GOLDEN=1` when its test runs. Do not edit.',
    '',
    '`parley check` holds every rule against a system and prints all findings at once: the code, the path in the graph,',
    'what it would cost, and the smallest change that mends it. A code never changes its meaning.',
    '',
    'A finding that is right where it stands is accepted on one of the nodes that it concerns, with its reason:',
    "`service('orders', { accepts: [accept('PLY205', 'the events are counted, their order does not matter')], … })`, or in",
    'the `accepts` of an `exposure`. Accepted findings are printed with their reasons and fail nothing. What no plan can',
    'be derived from cannot be accepted.',
    '',
    '| Code | Rule | May be accepted |',
    '|---|---|---|',
    ...all.flatMap((area) => area.rules.map(row)),
    ...all.flatMap((area) => ['', `## ${area.title}`, ...area.rules.flatMap(section)]),
    '',
  ].join('\n')
}

function row({ code, title, acceptable }: Rule): string {
  return `| [${code}](#${code.toLowerCase()}) | ${title} | ${acceptable ? 'yes' : 'no'} |`
}

function section({ code, title, why, reference }: Rule): string[] {
  return ['', `### ${code}`, '', `**${title}.** ${why}`, '', `Source: ${reference}.`]
}
