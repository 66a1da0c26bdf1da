import type { PlannedService } from '#plan/plan.ts'
import { labelsOf, type Site } from '#providers/cluster.ts'

/** What a process is told, and tells, of its version: its image's tag; without one the beginning of the digest. */
export function versionOf({ settings }: Site, start: PlannedService['start']): string {
  if (start.kind !== 'image') return settings.image.tag
  const [named = '', digest] = start.image.split('@')
  const tag = /:([A-Za-z0-9_][A-Za-z0-9._-]*)$/.exec(named)?.[1]
  return tag ?? digest?.replace(/^sha256:/, '').slice(0, 12) ?? 'latest'
}

/** The labels of a workload: those of everything, and its version. No selector may have them, for a version changes. */
export function workloadLabels(site: Site, name: string, component: string, start: PlannedService['start']) {
  return { ...labelsOf(site, name, component), 'app.kubernetes.io/version': labelValue(versionOf(site, start)) }
}

/** A label's value has at most 63 characters, and none but letters and digits at its ends. */
function labelValue(tag: string): string {
  return tag.slice(0, 63).replace(/^[._-]+|[._-]+$/g, '')
}
