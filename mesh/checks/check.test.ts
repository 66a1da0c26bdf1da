import { describe, expect, test } from '@jest/globals'
import { accept } from '#graph/acceptance.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { type ServiceSpec, service } from '#graph/service.ts'
import { topic } from '#graph/topic.ts'
import { shop } from '../shop.ts'
import { checkSystem } from './check.ts'
import { reportText } from './report.ts'
import { rules } from './rules.ts'
import { answering, api, chain, placed, tiny } from './testdata/systems.ts'

const unordered = topic('clicks', { carries: [placed], key: null })

function counting(spec: ServiceSpec) {
  return tiny([service('clicks', { publishes: [unordered], ...spec })])
}

test('the shop holds to every rule', () => {
  expect(checkSystem(shop).findings).toEqual([])
})

test('all findings are collected, in an order that does not depend on the declaration', () => {
  const services = [...chain(['a', 'b', 'c', 'd']), service('E', { publishes: [unordered] })]
  const report = checkSystem(tiny(services))
  expect(report.findings.map(({ code }) => code)).toEqual(['PLY603', 'PLY103', 'PLY205'])
  expect(checkSystem(tiny(services.toReversed()))).toEqual(report)
})

test('a name that is given twice is reported before what follows from it', () => {
  const twice = tiny([answering('a'), answering('a'), service('b', { publishes: [unordered] })])
  expect(checkSystem(twice).findings.map(({ code }) => code)).toEqual(['PLY604', 'PLY110', 'PLY205'])
})

test('a cycle ends the search for deep paths and amplification, and is itself reported once', () => {
  const round = [
    answering('a', [calls(api('b'), ['read'], { deadlineMs: 900 })]),
    answering('b', [calls(api('c'), ['read'], { deadlineMs: 800 })]),
    answering('c', [calls(api('a'), ['read'], { deadlineMs: 700 })]),
  ]
  const codes = checkSystem(tiny(round)).findings.map(({ code }) => code)
  expect(codes.filter((code) => code === 'PLY101')).toHaveLength(1)
})

describe('acceptances', () => {
  test('an accepted finding is reported with its reason and fails nothing', () => {
    const { findings, accepted } = checkSystem(counting({ accepts: [accept('PLY205', 'clicks are only counted')] }))
    expect(findings).toEqual([])
    expect(accepted).toEqual([
      expect.objectContaining({ code: 'PLY205', reason: 'clicks are only counted', by: 'service clicks' }),
    ])
  })

  test('an exposure accepts what concerns it', () => {
    const accepts = [accept('PLY601', 'the proxy before it bounds the rate')]
    const front = exposure('front', answering('a'), api('a'), { rateLimit: null, accepts })
    expect(checkSystem(tiny([answering('a')], { exposures: [front] }))).toMatchObject({
      findings: [],
      accepted: [{ code: 'PLY601', by: 'exposure front' }],
    })
  })

  test('another service cannot accept for it', () => {
    const stranger = service('stranger', { accepts: [accept('PLY205', 'I do not mind')] })
    const { findings, accepted } = checkSystem(tiny([...counting({}).services, stranger]))
    expect(findings.map(({ code, path }) => [code, path[0]])).toEqual([
      ['PLY205', 'clicks'],
      ['PLY701', 'stranger'],
    ])
    expect(accepted).toEqual([])
  })

  test.each([
    ['matches nothing', [accept('PLY201', 'long mended')], 'there is no such finding'],
    ['is no code', [accept('PLY999', 'whatever')], 'is no code'],
    ['cannot be', [accept('PLY603', 'we like it')], 'cannot be accepted'],
  ])('one that %s is a finding', (_name, accepts, says) => {
    const { findings } = checkSystem(tiny([service('a', { accepts })]))
    expect(findings).toEqual([expect.objectContaining({ code: 'PLY701', message: expect.stringContaining(says) })])
  })

  test('one without a reason accepts nothing', () => {
    const { findings } = checkSystem(counting({ accepts: [accept('PLY205', ' ')] }))
    expect(findings.map(({ code }) => code)).toEqual(['PLY205', 'PLY701'])
  })
})

test('a report reads as text: code and path, message, cost, mend, and a line that counts', () => {
  expect(reportText(checkSystem(counting({})))).toBe(
    [
      'PLY205  clicks → topic clicks',
      '  The topic clicks has no key and 6 partitions: its events arrive in any order.',
      '  cost: Two events of one subject share a partition, and so keep their order, in 1 of 6 cases.',
      "  mend: Declare `key` with a field that all its events have, such as 'orderId', or `partitions: 1`; accept it where order does not matter.",
      '',
      `tiny: ${rules.length + 1} rules, 1 finding, 0 accepted`,
    ].join('\n'),
  )
})
