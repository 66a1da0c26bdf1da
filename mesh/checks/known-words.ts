import type { Edge, ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName } from './edges.ts'
import { type Breach, exposureOwner, type Owner, rule, serviceOwner } from './rule.ts'
import { byText, list } from './text.ts'
import {
  askWords,
  backoffWords,
  boundsWords,
  callWords,
  consumeWords,
  edgeRateWords,
  environmentsWords,
  redeliveryWords,
  serviceWords,
  type Words,
  workWords,
} from './words.ts'

/** A part of a declaration that is kept as it was written. */
type Part = {
  readonly path: readonly string[]
  readonly owners: readonly Owner[]
  readonly value: unknown
  readonly words: Words
}

/** What is declared is understood. */
export const knownWords = rule({
  code: 'PLY608',
  title: 'A declaration holds known words only',
  why: 'A system’s file runs without the compiler. A misspelt word is ignored, and the default holds where a bound was meant.',
  reference: 'Kubernetes, "Server-side field validation", for the same idea',
  acceptable: false,
  check: (system) => partsOf(system).flatMap((part) => unknownWords(part, part.value, part.words, '')),
})

function unknownWords(part: Part, value: unknown, words: Words, prefix: string): Breach[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([word, inner]): Breach[] => {
    const known = Object.hasOwn(words, word) ? words[word] : undefined
    if (known === true) return []
    if (known !== undefined) return unknownWords(part, inner, known, `${prefix}${word}.`)
    const at = part.path.join(' ')
    const near = nearest(word, words)
    return [
      {
        path: [...part.path, `${prefix}${word}`],
        message: `${JSON.stringify(`${prefix}${word}`)} of ${at} is no word that is known there.`,
        cost: 'It is ignored, and the default holds.',
        mend: near
          ? `Write \`${prefix}${near}\`.`
          : `Take it away, or use a word that is known there: ${list(Object.keys(words))}.`,
        owners: part.owners,
      },
    ]
  })
}

/** The known word that was probably meant: one spelt almost so, or the same word a level below. */
function nearest(word: string, words: Words): string | null {
  const distances = Object.keys(words).map((known) => ({
    known,
    distance: editDistance(word.toLowerCase(), known.toLowerCase()),
  }))
  const [best] = distances.sort((a, b) => a.distance - b.distance || byText(a.known, b.known))
  if (best && best.distance <= Math.max(1, Math.floor(word.length / 3))) return best.known
  const below = Object.entries(words).find(([, inner]) => inner !== true && Object.hasOwn(inner, word))
  return below ? `${below[0]}.${word}` : null
}

/** Levenshtein: the letters to insert, take away or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j += 1) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function partsOf(system: SystemNode): Part[] {
  const at = { path: [`system ${system.name}`], owners: [] }
  return [
    { ...at, path: [...at.path, 'bounds'], value: system.bounds, words: boundsWords },
    { ...at, path: [...at.path, 'environments'], value: system.environments, words: environmentsWords },
    ...byName(system.services).flatMap((service) => [
      { path: [service.name], owners: [serviceOwner(service)], value: service.spec, words: serviceWords },
      ...(service.spec.edges ?? []).flatMap((edge) => edgeParts(service, edge)),
    ]),
    ...byName(system.exposures).map((exposure) => ({
      path: [`exposure ${exposure.name}`, 'rateLimit'],
      owners: [exposureOwner(exposure)],
      value: exposure.rateLimit,
      words: edgeRateWords,
    })),
  ]
}

function edgeParts(service: ServiceNode, edge: Edge): Part[] {
  const part = (label: string, value: unknown, words: Words): Part => ({
    path: [service.name, label],
    owners: [serviceOwner(service)],
    value,
    words,
  })
  switch (edge.kind) {
    case 'calls':
      return [part(`→ ${edge.api.name}.${edge.methods.join(',')}`, edge.policy, callWords)]
    case 'reaches':
      return [part(`→ external ${edge.external.name}`, edge.policy, callWords)]
    case 'consumes':
      return [part(`← topic ${edge.topic.name}`, edge.policy, consumeWords)]
    case 'works':
      return [
        part(`← queue ${edge.queue.name}`, edge.policy, workWords),
        part(`← queue ${edge.queue.name}, redelivery`, edge.queue.redelivery, redeliveryWords),
      ]
    case 'asks':
      return [part(`→ queue ${edge.queue.name}`, edge.policy, askWords)]
    case 'delivers':
      return [part(`→ webhook ${edge.webhook.name}, backoff`, edge.webhook.backoff, backoffWords)]
    case 'sends':
      return []
  }
}
