import { resolveCall, resolveReach, resolveRedelivery } from '#graph/defaults.ts'
import type { Redelivery } from '#graph/policy.ts'
import type { ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName, edgesOf, exposersOf } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { byText, count, list, ms } from './text.ts'
import { attemptsToWait, waitCeilingsMs } from './waits.ts'

/** Messages that a service takes, and how patiently. */
type Intake = { readonly label: string; readonly word: string; readonly redelivery: Required<Redelivery> }
/** What a handler may depend on, and for how long that is refused at once after failures. */
type Breaker = { readonly label: string; readonly openMs: number }

const patientBackoff = { baseMs: 100, maxMs: 5_000 }
const attemptsReasonable = 100
const attemptsMost = 1_000
/** A breaker that opens for less is hardly one; no such thing is proposed. */
const openLeastMs = 100
/** What the figures allow; beyond it another rule speaks. */
const openMostMs = 3_600_000

/** Messages outlive the breakers of what their handlers depend on. */
export const outagePatience = rule({
  code: 'PLY210',
  title: 'Redelivery outlasts the breakers of what a handler reaches',
  why: 'While a breaker is open every attempt fails at once. Where all attempts are used up before it lets calls through again, an outage of a moment turns all messages of that time into dead letters.',
  reference:
    'Michael Nygard, Release It!, "Circuit Breaker"; AWS Builders’ Library, "Timeouts, retries, and backoff with jitter"',
  check: (system) =>
    byName(system.services).flatMap((service) => {
      const breakers = breakersOf(system, service)
      return intakesOf(service).flatMap((intake) => impatience(service, intake, breakers))
    }),
})

function impatience(service: ServiceNode, { label, word, redelivery }: Intake, breakers: readonly Breaker[]): Breach[] {
  const { attempts, backoff } = redelivery
  if (!(attempts >= 1)) return []
  const meanMs = waitCeilingsMs(attempts, backoff) / 2
  const longer = breakers
    .filter(({ openMs }) => meanMs < openMs && openMs <= openMostMs)
    .sort((a, b) => b.openMs - a.openMs || byText(a.label, b.label))
  const [longest] = longer
  if (!longest) return []
  const labels = [...new Set(longer.map((breaker) => breaker.label))]
  const names = labels.map((each) => each.replace(/^→ (external )?/, ''))
  return [
    {
      path: [service.name, label, ...labels],
      message: `The ${attempts === 1 ? '1 attempt' : `${count(attempts)} attempts`} at a message of ${label.replace('← ', '')} ${attempts === 1 ? 'is' : 'are'} used up after ${ms(meanMs)} on average, and the breaker towards ${list(names)} is open for ${labels.length > 1 ? 'up to ' : ''}${ms(longest.openMs)}.`,
      cost: 'Every message that arrives while the breaker is open becomes a dead letter.',
      mend: mend(word, redelivery, longest.openMs, meanMs),
      owners: [serviceOwner(service)],
    },
  ]
}

function mend(word: string, { backoff }: Required<Redelivery>, openMs: number, meanMs: number): string {
  const own = attemptsToWait(2 * openMs, backoff, attemptsReasonable)
  const patient = attemptsToWait(2 * openMs, patientBackoff, attemptsMost)
  const shorter = meanMs >= openLeastMs ? [`\`breaker.openMs\` to at most ${count(Math.floor(meanMs))}`] : []
  const more =
    own !== null
      ? [`\`redelivery.attempts\` of ${word} to at least ${count(own)}`]
      : patient !== null
        ? [`\`redelivery\` of ${word} to \`{ attempts: ${patient}, backoff: { baseMs: 100, maxMs: 5_000 } }\``]
        : []
  const ways = [...more, ...shorter]
  const without = ' Or declare `fallback: true` on the call, and answer without it.'
  return ways.length > 0
    ? `Set ${ways.join(', or ')}.${without}`
    : `Set \`breaker.openMs\` to 5,000 and \`redelivery\` of ${word} to \`{ attempts: 12 }\`.${without}`
}

/** A service that works a queue into which it puts tasks itself takes what is slow from its consumers by that queue. */
function intakesOf(service: ServiceNode): Intake[] {
  const sent = new Set(edgesOf(service, 'sends').map(({ queue }) => queue.name))
  const works = edgesOf(service, 'works')
  const handsOn = works.some(({ queue }) => sent.has(queue.name))
  return [
    ...(handsOn ? [] : edgesOf(service, 'consumes')).map(({ topic, policy }) => ({
      label: `← topic ${topic.name}`,
      word: `\`consumes(${topic.name}, …)\``,
      redelivery: resolveRedelivery(policy.redelivery),
    })),
    ...works.map(({ queue }) => ({
      label: `← queue ${queue.name}`,
      word: `\`queue('${queue.name}', …)\``,
      redelivery: resolveRedelivery(queue.redelivery),
    })),
  ]
}

/** A call with a fallback does not fail its handler. */
function breakersOf(system: SystemNode, service: ServiceNode): Breaker[] {
  return [
    ...edgesOf(service, 'calls')
      .filter(({ policy }) => !policy.fallback)
      .flatMap(({ api, policy }) =>
        exposersOf(system, api).map(({ name }) => ({
          label: `→ ${name}`,
          openMs: resolveCall(policy).breaker.openMs,
        })),
      ),
    ...edgesOf(service, 'reaches')
      .filter(({ policy }) => !policy.fallback)
      .map((edge) => ({
        label: `→ external ${edge.external.name}`,
        openMs: resolveReach(edge).breaker.openMs,
      })),
  ]
}
