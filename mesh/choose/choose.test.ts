import { describe, expect, test } from '@jest/globals'
import { type Answers, choose, nextQuestion } from './choose.ts'
import { patterns } from './patterns.ts'
import { questions } from './tree.ts'

/** Every way through the trees, found by answering each question in each way. */
function ways(answers: Answers = {}): Answers[] {
  const question = nextQuestion(answers)
  if (!question) return [answers]
  return question.options.flatMap((option) => ways({ ...answers, [question.id]: option.value }))
}

test('every way ends with a pattern, every pattern and every question is on one', () => {
  const all = ways()
  const ends = all.map((answers) => choose(answers))
  expect(ends.filter(({ kind }) => kind !== 'choice')).toEqual([])
  const reached = new Set(ends.map((end) => (end.kind === 'choice' ? end.pattern : '')))
  expect([...reached].sort()).toEqual(Object.keys(patterns).sort())
  expect(new Set(all.flatMap((answers) => Object.keys(answers)))).toEqual(new Set(Object.keys(questions)))
})

test.each([
  [{ split: 'team' }, 'modular-monolith'],
  [{ split: 'no', wait: 'yes', caller: 'outside' }, 'rest'],
  [{ split: 'no', wait: 'yes', caller: 'composer' }, 'graphql'],
  [{ split: 'no', wait: 'yes', caller: 'inside', stream: 'yes' }, 'grpc-streaming'],
  [{ split: 'no', wait: 'yes', caller: 'inside', stream: 'no', latency: 'yes' }, 'grpc'],
  [{ split: 'no', wait: 'yes', caller: 'inside', stream: 'no', latency: 'no' }, 'internal-rest'],
  [{ split: 'no', wait: 'no', need: 'one' }, 'message-queue'],
  [{ split: 'no', wait: 'no', need: 'answer' }, 'request-reply'],
  [{ split: 'no', wait: 'no', need: 'many', replay: 'no' }, 'publish-subscribe'],
  [{ split: 'no', wait: 'no', need: 'many', replay: 'yes' }, 'event-streaming'],
  [{ split: 'no', wait: 'no', need: 'audit' }, 'event-sourcing'],
  [{ split: 'no', wait: 'no', need: 'agree', steps: '2-4' }, 'choreographed-saga'],
  [{ split: 'no', wait: 'no', need: 'agree', steps: '5+' }, 'orchestrated-saga'],
  [{ split: 'no', wait: 'no', need: 'outside' }, 'webhooks'],
])('%j chooses %s', (answers, pattern) => {
  expect(choose(answers)).toMatchObject({ kind: 'choice', pattern, because: expect.any(Array) })
})

describe('answers that do not fit', () => {
  test('the open question is asked next', () => {
    expect(nextQuestion({})?.id).toBe('split')
    expect(nextQuestion({ split: 'no', wait: 'no' })?.id).toBe('need')
    expect(choose({ split: 'no' })).toMatchObject({ kind: 'open', question: { id: 'wait' } })
  })

  test.each([
    [{ split: 'perhaps' }, 'split=no (none of them)'],
    [{ color: 'red' }, 'There is no question "color"; the questions are split, wait'],
    [{ constructor: 'x' }, 'There is no question "constructor"'],
    [{ split: 'team', wait: 'yes' }, 'The answers to split do not lead to the question wait'],
    [{ steps: '5+' }, 'do not lead to the question steps'],
  ])('%j is wrong, and says what would be right', (answers, says) => {
    expect(choose(answers as Answers)).toEqual({ kind: 'wrong', message: expect.stringContaining(says) })
  })
})
