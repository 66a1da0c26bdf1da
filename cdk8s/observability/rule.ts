import { labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'

/** A rule that tells somebody. */
export type AlertRule = {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** A rule that remembers a figure under a name. */
export type RecordRule = { readonly record: string; readonly expr: string }

/** Rules as Prometheus's operator takes them. */
export function prometheusRule(
  site: Site,
  name: string,
  groups: readonly { readonly name: string; readonly rules: readonly (AlertRule | RecordRule)[] }[],
): Manifest {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name, namespace: site.namespace, labels: labelsOf(site, name, 'alerts') },
    spec: { groups },
  }
}

/**
 * What every alert says besides its condition. `about` tells it from others of its kind and service; `runbook` is a heading
 * of `docs/runbook.md`.
 */
export function told(
  site: Site,
  of: { readonly service: string; readonly severity: string; readonly about?: Readonly<Record<string, string>> },
  text: { readonly summary: string; readonly description: string; readonly runbook: string },
): Pick<AlertRule, 'labels' | 'annotations'> {
  return {
    labels: { severity: of.severity, service: of.service, system: site.system, ...of.about },
    annotations: {
      summary: text.summary,
      description: text.description,
      runbook_url: `${pageOf(site, 'docs/runbook.md')}#${text.runbook}`,
    },
  }
}

/** A page of the repository as a browser reaches it; its path where the repository has no such address. */
function pageOf({ settings: { git } }: Site, path: string): string {
  if (!git.url.startsWith('https://')) return path
  return `${git.url.replace(/\.git$/, '')}/blob/${git.revision.replace(/^refs\/(heads|tags)\//, '')}/${path}`
}
