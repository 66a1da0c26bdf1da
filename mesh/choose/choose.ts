import declarations from './declarations.json' with { type: 'json' }
import { patterns } from './patterns.ts'
import { type Next, type Option, type PatternId, type Question, type QuestionId, questions, root } from './tree.ts'

/** What has been answered so far, by the keys of the questions: `{ split: 'no', wait: 'yes' }`. */
export type Answers = Readonly<Record<string, string>>

/** Where answers lead. */
export type Chosen =
  | {
      readonly kind: 'choice'
      readonly pattern: PatternId
      readonly title: string
      /** The answers that led here, in their order, as sentences. */
      readonly because: readonly string[]
      readonly reason: string
      /** A whole file that declares it, to paste and change. */
      readonly declaration: string
      /** When it is the wrong choice after all. */
      readonly notShould: string
    }
  | { readonly kind: 'open'; readonly question: Question }
  | { readonly kind: 'wrong'; readonly message: string }

/** The next question to ask; null when the answers are enough, or wrong: `choose` says which. */
export function nextQuestion(answers: Answers): Question | null {
  const chosen = choose(answers)
  return chosen.kind === 'open' ? chosen.question : null
}

/**
 * Walks the decision trees with the answers: to a pattern, to the question that is still open, or to what is wrong
 * with an answer. Pure.
 */
export function choose(answers: Answers): Chosen {
  const taken: { question: Question; option: Option }[] = []
  let next: Next = { question: root }
  while ('question' in next) {
    const question: Question = questions[next.question]
    const value = Object.hasOwn(answers, question.id) ? answers[question.id] : undefined
    if (value === undefined) return strayAnswer(answers, taken) ?? { kind: 'open', question }
    const option: Option | undefined = question.options.find((each) => each.value === value)
    if (!option) return { kind: 'wrong', message: wrongValue(question, value) }
    taken.push({ question, option })
    next = option.next
  }
  return strayAnswer(answers, taken) ?? choice(next.pattern, taken)
}

function choice(pattern: PatternId, taken: readonly { question: Question; option: Option }[]): Chosen {
  return {
    kind: 'choice',
    pattern,
    ...patterns[pattern],
    because: taken.map(({ question, option }) => `${question.asks} ${option.says}`),
    declaration: `${declarations[pattern].join('\n')}\n`,
  }
}

/** An answer to a question that these answers do not lead to is a mistake of whoever gave it. */
function strayAnswer(answers: Answers, taken: readonly { question: Question }[]): Chosen | null {
  const asked = new Set<string>(taken.map(({ question }) => question.id))
  const stray = Object.keys(answers)
    .filter((key) => !asked.has(key))
    .sort()[0]
  if (stray === undefined) return null
  if (!Object.hasOwn(questions, stray)) {
    const known: QuestionId[] = Object.values(questions).map(({ id }) => id)
    return {
      kind: 'wrong',
      message: `There is no question ${JSON.stringify(stray)}; the questions are ${known.join(', ')}.`,
    }
  }
  const path = taken.map(({ question }) => question.id).join(', ')
  return {
    kind: 'wrong',
    message: `The answers to ${path || 'nothing'} do not lead to the question ${stray}. Leave it out, or answer what comes before it.`,
  }
}

function wrongValue({ id, options }: Question, value: string): string {
  const known = options.map((option) => `${id}=${option.value} (${option.says})`)
  return `${JSON.stringify(value)} is no answer to ${id}. Give one of ${known.join(', ')}.`
}
