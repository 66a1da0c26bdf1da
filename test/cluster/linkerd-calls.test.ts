/**
 * How Linkerd's proxies treat a call: deadline, retries and breaker, by an evaluator of the rendered routes and annotations
 * that was written from the documentation alone. For each caller and method these are the plan's, or render tells of it.
 */
import { describe, expect, test } from '@jest/globals'
import { notSupportedBy } from '#cdk8s/mesh-parts.ts'
import type { Plan } from '#plan/plan.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type LinkerdTarget, linkerdTreats } from '../evaluators/linkerd-outbound.ts'
import type { Treatment } from '../evaluators/treatment.ts'
import {
  declaredOf,
  isPlayed,
  laterMs,
  podNamed,
  portOf,
  sample,
  titleOf,
  type Wanted,
  wantedIn,
} from '../fixtures/calls.ts'
import { type RenderedCase, renderedCases } from '../fixtures/rendered.ts'

const onLinkerd = renderedCases().filter(({ mesh }) => mesh === 'linkerd')

describe('a call is treated as it is declared, or it is told that it is not', () => {
  test.each(onLinkerd)('$title', (rendered) => {
    const told = notSupportedBy(rendered.plan, 'linkerd')
    const wantedHere = wantedIn(rendered.plan).filter((one) => isSeen(rendered, one))
    for (const wanted of wantedHere) {
      const isTold = (what: RegExp): boolean => told.some((one) => what.test(one.what) && concerns(one.where, wanted))
      const treated = treatedByLinkerd(rendered, rendered.objects, wanted)
      if (treated === 'refused') throw new Error(`${titleOf(wanted)} is refused`)
      const { timeoutMs, breaker, ...retry } = treated
      const declared = declaredOf(wanted)
      const all = wantedHere.filter(({ to, method }) => to === wanted.to && method.path === wanted.method.path)
      const say = (value: unknown) => ({ call: titleOf(wanted), value })
      // A callee's routes and breaker are one for all its callers.
      if (isTold(/^a deadline of each caller/)) expect(deadlinesOf(rendered.plan, all)).toContain(timeoutMs)
      else expect(say(timeoutMs)).toEqual(say(declared.timeoutMs))
      if (isTold(/^a retry of each caller/)) expect(retry.attempts).toBeLessThanOrEqual(declared.attempts)
      else expect(say(retriesOf(retry))).toEqual(say(retriesOf(declared)))
      if (isTold(/^a breaker of each caller/)) expect(breakersTo(rendered.plan, wanted)).toContain(breaker?.failures)
      else if (isTold(/^breaker and limits/)) expect(say(breaker)).toEqual(say(null))
      else expect(say(breaker)).toEqual(say(declared.breaker))
      expect(say(isTold(/limits/))).toEqual(say(true))
    }
  })

  test('a change of any number of it is noticed', () => {
    const [rendered] = onLinkerd.filter(({ plan }) => plan.system === 'everything')
    if (!rendered) throw new Error('There is no such case')
    const whole = seenOnLinkerd(rendered, rendered.objects)
    const changes: readonly [string, RegExp, string][] = [
      ['timeout', /("timeout\.linkerd\.io\/request":")200ms/, '$1300ms'],
      ['attempts', /("retry\.linkerd\.io\/limit":")1/, '$12'],
      ['reasons', /("retry\.linkerd\.io\/grpc":")unavailable/, '$1internal'],
      ['time of a try', /("retry\.linkerd\.io\/timeout":")\d+ms/, '$17ms'],
      ['failures', /(consecutive-max-failures":")\d+/, '$199'],
      ['breaker', /"balancer\.linkerd\.io\/failure-accrual":"consecutive",/, ''],
    ]
    const unnoticed = changes.filter(([, from, to]) => {
      const changed = JSON.parse(JSON.stringify(rendered.objects).replace(from, to)) as readonly Manifest[]
      return seenOnLinkerd(rendered, changed) === whole
    })
    expect(unnoticed.map(([name]) => name)).toEqual([])
  })
})

function retriesOf({ attempts, perTryTimeoutMs, on }: Pick<Treatment, 'attempts' | 'perTryTimeoutMs' | 'on'>) {
  return { attempts, perTryTimeoutMs, on }
}

function treatedByLinkerd({ plan, objects: whole }: RenderedCase, objects: readonly Manifest[], wanted: Wanted) {
  const { from, method } = wanted
  const { namespace } = podNamed(whole, from)
  return linkerdTreats(objects, namespace, targetOf(plan, wanted), { verb: method.verb, path: sample(method.path) })
}

function targetOf(plan: Plan, { to, outside }: Wanted): LinkerdTarget {
  if (!outside) return { service: to, namespace: plan.namespace, port: 8080 }
  const external = plan.externals.find(({ name }) => name === to)
  if (!external) throw new Error(`The plan has no ${to}`)
  return isPlayed(plan, external)
    ? { service: to, namespace: `${plan.namespace}-outside`, port: portOf(external) }
    : { host: external.host, port: external.port }
}

function seenOnLinkerd(rendered: RenderedCase, objects: readonly Manifest[]): string {
  const wanted = wantedIn(rendered.plan).filter((one) => isSeen(rendered, one))
  return JSON.stringify(wanted.map((one) => treatedByLinkerd(rendered, objects, one)))
}

/** Linkerd's proxies see nothing of what applications encrypt; that is told, too. */
function isSeen({ plan }: RenderedCase, { to, outside }: Wanted): boolean {
  const external = plan.externals.find(({ name }) => outside && name === to)
  return !external || isPlayed(plan, external) || !external.tls
}

function concerns(where: string, { from, to, method }: Wanted): boolean {
  const named = [`calls to ${to}.${method.name}`, `calls to ${to}`, `egress to ${to}`, `egress to ${to}.${method.name}`]
  if (named.includes(where) || where === `${from} → ${to}`) return true
  return where.startsWith('calls ') && (where.includes(`${from} → ${to}`) || / and \d+ more$/.test(where))
}

function deadlinesOf({ exposures }: Plan, all: readonly Wanted[]): readonly number[] {
  const path = all[0]?.method.path
  const outside = exposures.flatMap(({ methods, deadlineMs, streamDeadlineMs }) =>
    methods
      .filter((method) => method.path === path)
      .map((method) => (method.streaming ? streamDeadlineMs + laterMs(method) : deadlineMs)),
  )
  return [...all.map(({ deadlineMs, method }) => deadlineMs + laterMs(method)), ...outside]
}

function breakersTo(plan: Plan, { to }: Wanted): readonly number[] {
  return wantedIn(plan)
    .filter((one) => one.to === to)
    .map(({ edge }) => edge.breaker.failures)
}
