import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { beginning, decide, dueAt, type SagaCommand, type SagaEvent, stuckAfterMs } from './decide.ts'
import type { SagaCourse, SagaState, StepCourse } from './state.ts'

const step = (name: string, more: Partial<StepCourse> = {}): StepCourse => ({
  name,
  begun: false,
  undoable: true,
  replyWithinMs: 5_000,
  ...more,
})
const confirm = step('confirm', { undoable: false })
/** place | reserve | charge + label | confirm (no return) | ship + notify */
const course: SagaCourse = {
  name: 'fulfil',
  stages: [
    [step('place', { begun: true })],
    [step('reserve')],
    [step('charge'), step('label')],
    [confirm],
    [step('ship', { undoable: false }), step('notify', { undoable: false })],
  ],
  pivot: confirm,
  timeoutMs: 45_000,
}

type Given = SagaEvent extends infer E ? (E extends SagaEvent ? Omit<E, 'atMs'> & { atMs?: number } : never) : never
const done = (name: string): Given => ({ kind: 'done', step: name, results: {} })
const refused = (name: string, atMs = 0): Given => ({ kind: 'refused', step: name, reason: 'no', atMs })
const undone = (name: string): Given => ({ kind: 'undone', step: name })
const due = (atMs: number): Given => ({ kind: 'due', atMs })
const cancelled: Given = { kind: 'cancelled', reason: 'changed their mind' }
const started: Given = { kind: 'started' }
const toPivot = [started, done('reserve'), done('charge'), done('label')]

const written = ({ step: name, does, attempt }: SagaCommand) =>
  `${does === 'act' ? '' : 'undo '}${name}${attempt > 1 ? ` again (${attempt})` : ''}`

/** Given these events so far, when the last one comes, then these commands follow. */
function outcome(...events: readonly Given[]): { commands: string[]; state: SagaState } {
  let state = beginning(course, 0)
  let commands: string[] = []
  for (const event of events) {
    const decision = decide(course, state, { atMs: 0, ...event } as SagaEvent)
    state = decision.state
    commands = decision.commands.map(written)
  }
  return { commands, state }
}

describe('a saga', () => {
  test.each([
    ['begins with the first step that is not done', [started], ['reserve'], 'running'],
    ['asks for a stage at once', [started, done('reserve')], ['charge', 'label'], 'running'],
    ['waits for the whole stage', [started, done('reserve'), done('label')], [], 'running'],
    ['goes on in whatever order replies come', toPivot, ['confirm'], 'running'],
    ['hears a reply once', [...toPivot, done('label')], [], 'running'],
    ['finishes', [...toPivot, done('confirm'), done('notify'), done('ship')], [], 'completed'],
    ['undoes what is done when a step refuses', [started, refused('reserve')], ['undo place'], 'compensating'],
    [
      'undoes what may be done, too, and not what was refused',
      [started, done('reserve'), refused('charge')],
      ['undo label'],
      'compensating',
    ],
    [
      'undoes in reverse, one stage after the other',
      [started, done('reserve'), refused('charge'), undone('label')],
      ['undo reserve'],
      'compensating',
    ],
    [
      'hears no late success of what it undoes',
      [started, done('reserve'), refused('charge'), done('label')],
      [],
      'compensating',
    ],
    [
      'ends undone once the last one says so',
      [started, done('reserve'), refused('charge'), undone('label'), undone('reserve'), undone('place')],
      [],
      'compensated',
    ],
    [
      'turns back when the point of no return refuses',
      [...toPivot, refused('confirm')],
      ['undo charge', 'undo label'],
      'compensating',
    ],
    ['turns back when it is cancelled', [started, cancelled], ['undo reserve'], 'compensating'],
    ['does not turn back once the point of no return was asked for', [...toPivot, cancelled], [], 'running'],
    ['asks again for what is not answered', [started, due(5_000)], ['reserve again (2)'], 'running'],
    ['asks again no sooner', [started, due(4_999)], [], 'running'],
    ['asks again later each time', [started, due(5_000), due(14_999)], [], 'running'],
    ['turns back when its time is up', [started, due(45_000)], ['undo reserve'], 'compensating'],
    [
      'does not turn back at the point of no return, but asks on',
      [...toPivot, due(60_000)],
      ['confirm again (2)'],
      'running',
    ],
    ['asks again when somebody wants it', [...toPivot, { kind: 'retried' }], [], 'running'],
    [
      'asks again at once when somebody wants it',
      [...toPivot, { kind: 'retried', atMs: 9 }],
      ['confirm again (2)'],
      'running',
    ],
  ] as [string, Given[], string[], string][])('%s', (_name, events, commands, status) => {
    const found = outcome(...events)
    expect({ commands: found.commands, status: found.state.status }).toEqual({ commands, status })
  })

  test('whose compensation is not answered is stuck within half a minute, goes on trying, and is never done', () => {
    const back = [started, done('reserve'), refused('charge')]
    expect(outcome(...back).state.stuck).toBe('')
    const dues = [5_000, 15_000, stuckAfterMs, 35_000, 65_000].map(due)
    const { state, commands } = outcome(...back, ...dues)
    expect(state).toMatchObject({ status: 'compensating', stuck: expect.stringContaining('undoing label') })
    expect(commands).toEqual(['undo label again (5)'])
    expect(outcome(...back, ...dues, undone('label')).state.stuck).toBe('')
  })

  test('whose step refuses past the point of no return is stuck at once, and done when it is done', () => {
    const { state } = outcome(...toPivot, done('confirm'), refused('ship'))
    expect(state).toMatchObject({ status: 'running', stuck: 'ship was refused past the point of no return: no' })
    const mended = outcome(...toPivot, done('confirm'), refused('ship'), done('ship'), done('notify'))
    expect(mended.state).toMatchObject({ status: 'completed', stuck: '' })
  })

  test('always ends, in whatever order, how often and how late its participants answer', () => {
    const answer = fc.record({
      pick: fc.nat(),
      refuse: fc.boolean(),
      repeat: fc.boolean(),
      lose: fc.boolean(),
      cancel: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(answer, { minLength: 5, maxLength: 60 }), (answers) => {
        const effects = play(answers)
        const forward = ['reserve', 'charge', 'label', 'confirm', 'ship', 'notify']
        const kept = forward.filter((name) => effects.held.has(name))
        expect(kept).toEqual(effects.status === 'completed' ? forward : [])
        expect(effects.held.has('place')).toBe(effects.status === 'completed')
      }),
    )
  })
})

type Answer = { pick: number; refuse: boolean; repeat: boolean; lose: boolean; cancel: boolean }

/** Plays a saga against participants that are idempotent and leave tombstones, and nothing else. */
function play(answers: readonly Answer[]): { status: string; held: Set<string> } {
  const held = new Set(['place'])
  const dead = new Set<string>()
  const refusals = new Set<string>()
  let atMs = 0
  let state = beginning(course, atMs)
  let inbox: SagaCommand[] = []
  const happen = (event: SagaEvent) => {
    const decision = decide(course, state, event)
    state = decision.state
    inbox = [...inbox, ...decision.commands]
  }
  const act = ({ step: name, does }: SagaCommand, refuse: boolean) => {
    if (does === 'undo') {
      held.delete(name)
      dead.add(name)
      happen({ kind: 'undone', step: name, atMs })
    } else if (dead.has(name) || refusals.has(name) || (refuse && !held.has(name) && mayRefuse.has(name))) {
      refusals.add(name)
      happen({ kind: 'refused', step: name, reason: 'no', atMs })
    } else {
      held.add(name)
      happen({ kind: 'done', step: name, results: {}, atMs })
    }
  }
  happen({ kind: 'started', atMs })
  const calm: Answer = { pick: 0, refuse: false, repeat: false, lose: false, cancel: false }
  for (let round = 0; state.status === 'running' || state.status === 'compensating'; round += 1) {
    if (round > 500) throw new Error(`It does not end: ${JSON.stringify(state)}`)
    const { pick, refuse, repeat, lose, cancel } = answers[round] ?? calm
    if (cancel && pick % 5 === 0) happen({ kind: 'cancelled', reason: 'x', atMs })
    const [command] = inbox.splice(pick % Math.max(1, inbox.length), 1)
    if (!command) {
      atMs = Math.max(atMs + 1, dueAt(course, state) ?? atMs)
      happen({ kind: 'due', atMs })
      continue
    }
    if (repeat) inbox.push(command)
    if (!lose) act(command, refuse)
  }
  // What is still under way arrives after the end.
  for (const command of inbox.splice(0)) act(command, false)
  return { status: state.status, held }
}
const mayRefuse = new Set(['reserve', 'charge', 'label', 'confirm'])
