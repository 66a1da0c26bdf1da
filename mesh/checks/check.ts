import type { SystemNode } from '#graph/system.ts'
import { type Accepted, acceptedBy, unusedAcceptances } from './acceptances.ts'
import { duplicateNames } from './duplicate-names.ts'
import type { Finding } from './rule.ts'
import { rules } from './rules.ts'
import { byText } from './text.ts'

/** What the rules say of a system. */
export type Report = {
  readonly system: string
  /** How many rules were held against it. */
  readonly rules: number
  /** What has to be mended, or accepted with a reason. None: the system may run. */
  readonly findings: readonly Finding[]
  /** What the declaration accepts, with its reasons. */
  readonly accepted: readonly Accepted[]
}

/**
 * Holds every rule against a system and collects all that they find, whatever the order of the declaration: names given
 * twice first, then what no plan can be derived from, since much of the rest may only follow from these; then by code
 * and path. Pure; it throws on no system that the graph's words can make.
 */
export function checkSystem(system: SystemNode): Report {
  const all = unique(rules.flatMap((rule) => rule.check(system)))
  const judged = all.map((finding) => ({ finding, acceptance: acceptedBy(system, finding) }))
  const open = judged.flatMap(({ finding, acceptance }) => (acceptance ? [] : [finding]))
  const accepted = judged.flatMap(({ finding, acceptance }) => (acceptance ? [{ ...finding, ...acceptance }] : []))
  return {
    system: system.name,
    rules: rules.length + 1,
    findings: [...open, ...unusedAcceptances(system, all)].sort(byPlace),
    accepted: accepted.sort(byPlace),
  }
}

function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [key(finding), finding])).values()]
}

function byPlace(a: Finding, b: Finding): number {
  return rank(a) - rank(b) || byText(key(a), key(b))
}

function rank({ code }: Finding): number {
  if (code === duplicateNames.code) return 0
  return rules.some((known) => known.code === code && !known.acceptable) ? 1 : 2
}

function key({ code, path, message, mend, cost, owners }: Finding): string {
  return JSON.stringify([code, path, message, mend, cost, owners])
}
