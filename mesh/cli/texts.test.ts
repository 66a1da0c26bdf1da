import { expect, test } from '@jest/globals'
import type { LetterList } from './dead-letters.ts'
import { letterListText } from './dlq.ts'
import { type SagaStory, sagaStoryText } from './saga-text.ts'

test('a list of dead letters that are settled says so, and not only that none waits', () => {
  const letter = { service: 'notifications', number: '1', destination: 'emails', state: 'replayed', reason: 'away' }
  const rest = { type: null, key: null, code: 'PERMANENT', attempts: 1, diedAt: '', traceId: null, correlationId: null }
  const list = { counts: [], letters: [{ ...letter, ...rest }], more: false, unknown: [] } as unknown as LetterList
  expect(letterListText(list, 'replayed')).toMatch(
    /^No dead letter waits\. These are replayed:\n\n.*\n.*notifications\/1/,
  )
  expect(letterListText({ ...list, letters: [] }, 'discarded')).toBe('No dead letter waits. None is discarded.')
  expect(letterListText({ ...list, letters: [] }, 'waiting')).toBe('No dead letter waits.')
})

test('a saga that has ended waits for nothing', () => {
  const steps = [
    { name: 'charge', phase: 'refused' },
    { name: 'ship', phase: 'waiting' },
  ]
  const times = { startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:01.000Z' }
  const story: SagaStory = {
    ...{ saga: 'fulfil', sagaId: 'o-1', status: 'compensated', stuck: '', reason: 'card declined', ...times },
    ...{ steps, correlationId: 'c', traceparent: null, log: [] },
  }
  expect(sagaStoryText(story)).toMatch(/ship +not reached/)
  expect(sagaStoryText({ ...story, status: 'compensating', endedAt: null })).toMatch(/ship +waiting/)
})
