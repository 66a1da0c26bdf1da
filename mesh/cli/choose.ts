import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { type Answers, type Chosen, choose } from '#mesh/choose/choose.ts'
import type { Question } from '#mesh/choose/tree.ts'
import { exitCodes, UsageError } from './exit.ts'
import { print } from './output.ts'

/** `parley choose`: asks a few questions and answers with a pattern, why, and a declaration to paste. */
export function chooseCommand(program: Command): void {
  program
    .command('choose')
    .description('find the pattern that fits: a few questions, a reason, a declaration to paste')
    .option('--answer <key=value>', 'answer a question beforehand; may be given several times', collect)
    .option('--json', 'print the choice, or the next question, as JSON and ask nothing')
    .action(async ({ answer = {}, json }: { answer?: Answers; json?: boolean }) => {
      const asks = !json && process.stdin.isTTY === true
      const chosen = asks ? await interview(answer) : choose(answer)
      if (chosen === null) {
        process.exitCode = exitCodes.interrupted
        return
      }
      if (chosen.kind === 'wrong') throw new UsageError(chosen.message)
      print(json ? JSON.stringify(chosen, null, 2) : chosenText(chosen, answer))
    })
}

/** Null where somebody leaves, by Ctrl-C or Ctrl-D. */
async function interview(given: Answers): Promise<Chosen | null> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  let answers = given
  try {
    for (;;) {
      const chosen = choose(answers)
      if (chosen.kind !== 'open') return chosen
      answers = { ...answers, [chosen.question.id]: await ask(terminal, chosen.question) }
    }
  } catch (error) {
    if (!(error instanceof Error && error.name === 'AbortError')) throw error
    print('')
    return null
  } finally {
    terminal.close()
  }
}

/** Asks until one of the options is named, by its number or its word. */
async function ask(terminal: ReturnType<typeof createInterface>, question: Question): Promise<string> {
  print(questionText(question))
  for (;;) {
    const given = (await terminal.question('> ')).trim()
    const option = question.options.find(({ value }, index) => given === value || given === String(index + 1))
    if (option) return option.value
    print(`Give a number from 1 to ${question.options.length}, or one of the words.`)
  }
}

function chosenText(chosen: Exclude<Chosen, { kind: 'wrong' }>, answered: Answers): string {
  if (chosen.kind === 'open') {
    const { id } = chosen.question
    const all = [...Object.entries(answered), [id, 'WORD']].map((pair) => `--answer ${pair.join('=')}`).join(' ')
    return `${questionText(chosen.question)}\n\nAnswer it: bin/parley choose ${all}\nOr run this in a terminal to be asked.`
  }
  const { title, because, reason, notShould, declaration } = chosen
  return [
    title,
    '',
    ...because.map((sentence) => `  ${sentence}`),
    '',
    reason,
    `Not where: ${notShould}`,
    '',
    declaration,
  ].join('\n')
}

function questionText({ asks, options }: Question): string {
  const width = Math.max(...options.map(({ value }) => value.length))
  return [asks, ...options.map(({ value, says }, index) => `  ${index + 1}  ${value.padEnd(width)}  ${says}`)].join(
    '\n',
  )
}

function collect(pair: string, answers: Answers = {}): Answers {
  const [key = '', value] = pair.split('=')
  if (key === '' || value === undefined)
    throw new UsageError(`--answer takes key=value; this is ${JSON.stringify(pair)}`)
  return { ...answers, [key]: value }
}
