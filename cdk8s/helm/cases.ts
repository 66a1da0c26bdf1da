/**
 * One object, or a part of it, as it is for each choice of the chart's values that it depends on; and how such choices
 * become conditions.
 */

/** A thing that the chart's values decide, with the condition under which each of its answers holds; exactly one does. */
export type Choice = {
  readonly name: string
  readonly answers: readonly { readonly name: string; readonly condition: string }[]
}

/** The answer to each choice, by its name. */
export type Answers = Readonly<Record<string, string>>

/** A value under some answers; undefined where it is absent. */
export type Case = { readonly answers: Answers; readonly value: unknown }

/** Every combination of answers. */
export function combinations(choices: readonly Choice[]): readonly Answers[] {
  return choices.reduce<readonly Answers[]>(
    (before, choice) =>
      before.flatMap((answers) => choice.answers.map((answer) => ({ ...answers, [choice.name]: answer.name }))),
    [{}],
  )
}

/** Whether all cases hold the same. */
export function agree(cases: readonly Case[]): boolean {
  const first = textOf(cases[0]?.value)
  return cases.every(({ value }) => textOf(value) === first)
}

/**
 * Divides cases by the first choice that they differ by: for presence when some are absent, else for their value. Answers
 * that lead to the same are one branch. Every case is in exactly one branch.
 */
export function divide(cases: readonly Case[], choices: readonly Choice[]): readonly Branch[] {
  const missing = cases.some(({ value }) => value === undefined)
  const classOf = missing
    ? ({ value }: Case) => (value === undefined ? '' : 'there')
    : ({ value }: Case) => textOf(value)
  const choice = choices.find((each) => decides(each, cases, classOf))
  if (!choice) throw new Error('The cases of a chart differ and no choice decides between them.')
  const branches: { conditions: string[]; cases: Case[]; print: string }[] = []
  for (const answer of choice.answers) {
    const under = cases.filter(({ answers }) => answers[choice.name] === answer.name)
    if (under.length === 0) continue
    const print = printOf(under, choice, classOf)
    const same = branches.find((branch) => branch.print === print)
    if (same) {
      same.conditions.push(answer.condition)
      same.cases.push(...under)
    } else branches.push({ conditions: [answer.condition], cases: under, print })
  }
  return branches
}

/** Cases that hold under one of some conditions. */
export type Branch = { readonly conditions: readonly string[]; readonly cases: readonly Case[] }

/** Whether two cases that differ by this choice alone are of different classes. */
function decides(choice: Choice, cases: readonly Case[], classOf: (one: Case) => string): boolean {
  const seen = new Map<string, string>()
  return cases.some((one) => {
    const key = othersOf(one, choice)
    const now = classOf(one)
    const before = seen.get(key)
    seen.set(key, now)
    return before !== undefined && before !== now
  })
}

function printOf(cases: readonly Case[], choice: Choice, classOf: (one: Case) => string): string {
  return cases
    .map((one) => `${othersOf(one, choice)} ${classOf(one)}`)
    .sort()
    .join('\n')
}

function othersOf({ answers }: Case, { name }: Choice): string {
  return JSON.stringify({ ...answers, [name]: '' })
}

/** A value as text; equal texts are equal values. */
export function textOf(value: unknown): string {
  return JSON.stringify(value) ?? ''
}
