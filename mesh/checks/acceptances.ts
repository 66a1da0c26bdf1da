import type { Acceptance } from '#graph/acceptance.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName } from './edges.ts'
import { exposureOwner, type Finding, type Owner, rule, serviceOwner } from './rule.ts'
import { rules } from './rules.ts'

/** A finding that the declaration accepts, with the reason and who gave it. */
export type Accepted = Finding & { readonly reason: string; readonly by: Owner }

/** An acceptance means something. */
export const acceptanceRule = rule({
  code: 'PLY701',
  title: 'An acceptance accepts something, and says why',
  why: 'An acceptance that no longer matches would hide the next finding of its code; one without a reason tells a reviewer nothing.',
  reference: 'ESLint, `--report-unused-disable-directives`, for the same idea',
  acceptable: false,
  check: () => [],
})

/** The first acceptance, by its owner's name, that speaks for a finding; null where there is none. */
export function acceptedBy(system: SystemNode, finding: Finding): { reason: string; by: Owner } | null {
  if (!isAcceptable(finding.code)) return null
  const match = acceptancesOf(system).find(({ by, code, reason }) => speaksFor(finding, by, code) && hasReason(reason))
  return match ? { reason: match.reason, by: match.by } : null
}

/** What is wrong with the acceptances of a system, given all that the rules found. */
export function unusedAcceptances(system: SystemNode, findings: readonly Finding[]): Finding[] {
  return acceptancesOf(system).flatMap(({ by, code, reason }) => {
    const said = wrong(by, code, reason, findings)
    if (!said) return []
    const path = [by.startsWith('service ') ? by.slice('service '.length) : by, `accept('${code}')`]
    return [{ code: acceptanceRule.code, path, cost: null, owners: [], ...said }]
  })
}

function wrong(by: Owner, code: string, reason: string, findings: readonly Finding[]) {
  if (!rules.some((known) => known.code === code)) {
    return { message: `The ${by} accepts ${code}, which is no code.`, mend: `Take \`accept('${code}', …)\` away.` }
  }
  if (!isAcceptable(code)) {
    return {
      message: `The ${by} accepts ${code}, which cannot be accepted: no plan could be derived.`,
      mend: `Mend the finding and take \`accept('${code}', …)\` away.`,
    }
  }
  if (!findings.some((finding) => speaksFor(finding, by, code))) {
    return {
      message: `The ${by} accepts ${code}, and there is no such finding at it.`,
      mend: `Take \`accept('${code}', …)\` away.`,
    }
  }
  if (hasReason(reason)) return null
  return {
    message: `The ${by} accepts ${code} without a reason.`,
    mend: `Say why: \`accept('${code}', 'because …')\`.`,
  }
}

function acceptancesOf(system: SystemNode): (Acceptance & { by: Owner })[] {
  return [
    ...byName(system.services).flatMap((service) =>
      (service.spec.accepts ?? []).map((each) => ({ ...each, by: serviceOwner(service) })),
    ),
    ...byName(system.exposures).flatMap((exposure) =>
      exposure.accepts.map((each) => ({ ...each, by: exposureOwner(exposure) })),
    ),
  ]
}

function speaksFor(finding: Finding, by: Owner, code: string): boolean {
  return finding.code === code && finding.owners.includes(by)
}

function isAcceptable(code: string): boolean {
  return rules.find((known) => known.code === code)?.acceptable ?? false
}

function hasReason(reason: string): boolean {
  return reason.trim() !== ''
}
