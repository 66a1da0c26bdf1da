import { describe, expect, test } from '@jest/globals'
import type { ServiceError } from '#kit/errors.ts'
import { readCustomer, requestHash } from './customer.ts'

const emailAddress = 'ann@mail.example'

describe('an address', () => {
  test.each([
    ['ann@mail.example', 'ann@mail.example', 'ann@mail.example'],
    [' Ann.O+shop@Mail.Example ', 'Ann.O+shop@mail.example', 'ann.o+shop@mail.example'],
    ['ann@bücher.example', 'ann@xn--bcher-kva.example', 'ann@xn--bcher-kva.example'],
  ])('%s is kept as %s, and is unique as %s', (given, kept, key) => {
    expect(readCustomer({ name: 'Ann', emailAddress: given })).toEqual({
      name: 'Ann',
      emailAddress: kept,
      emailKey: key,
    })
  })

  test.each([
    'ann',
    '@mail.example',
    'ann@localhost',
    'ann@10.0.0.1',
    'ann@[10.0.0.1]',
    'a..n@mail.example',
    'ann@mail..example',
    'ann@-mail.example',
    'ann@mail.example, bob@mail.example',
    'ann@mail.example\r\nBcc: bob@mail.example',
    'ann\u0000@mail.example',
    `${'a'.repeat(65)}@mail.example`,
    `ann@${'a.'.repeat(130)}example`,
  ])('%j is none', (given) => {
    expect(refused({ name: 'Ann', emailAddress: given })).toEqual(['emailAddress'])
  })
})

describe('a name', () => {
  test.each(['Ann', 'José Ñúñez', "Siobhán O'Neill", 'Dr. Jean-Luc M. Picard', '李小龙', 'Ann & Bob, 2nd'])(
    '%s is one',
    (name) => {
      expect(readCustomer({ name, emailAddress }).name).toBe(name)
    },
  )

  test.each([
    '',
    '  ',
    'Win at https://evil.example',
    'see evil.example',
    'Ann\nBob',
    '<b>Ann</b>',
    'a@b',
    '.',
    'a'.repeat(101),
  ])('%j is none', (name) => {
    expect(refused({ name, emailAddress })).toEqual(['name'])
  })
})

test('all that is wrong is told at once', () => {
  expect(refused({ name: '', emailAddress: '' })).toEqual(['name', 'emailAddress'])
})

test('the spelling of an address is part of what is asked, though not of who it is', () => {
  const hash = (given: string) => requestHash(readCustomer({ name: 'Ann', emailAddress: given }))
  expect(hash('ann@mail.example')).toBe(hash(' ann@MAIL.example'))
  expect(hash('ann@mail.example')).not.toBe(hash('Ann@mail.example'))
})

function refused(given: { name: string; emailAddress: string }): string[] {
  try {
    readCustomer(given)
    return []
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'invalid-argument' })
    return (thrown as ServiceError).violations.map(({ field }) => field)
  }
}
