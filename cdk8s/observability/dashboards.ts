import type { Plan } from '#plan/plan.ts'
import { fitted, labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { messagingDashboard } from './dashboards/messaging.ts'
import { type Dashboard, dashboardJson } from './dashboards/panel.ts'
import { sagaDashboards } from './dashboards/sagas.ts'
import { systemDashboard } from './dashboards/system.ts'

/** Grafana's dashboards as ConfigMaps, which its sidecar finds by their label in any namespace. */
export const dashboards: SystemPart = {
  wave: 'observability',
  name: 'system.dashboards',
  render: (site, plan) => dashboardsOf(site, plan).map((dashboard) => configMap(site, dashboard)),
}

/** The dashboards that a plan has something to show on. */
export function dashboardsOf(site: Site, plan: Plan): readonly Dashboard[] {
  return [systemDashboard(site, plan), messagingDashboard(site, plan), ...sagaDashboards(site, plan)].filter(
    ({ rows }) => rows.length > 0,
  )
}

function configMap(site: Site, dashboard: Dashboard): Manifest {
  const name = `${fitted(dashboard.uid)}.dashboard`
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      namespace: site.namespace,
      labels: { ...labelsOf(site, fitted(name), 'dashboard'), grafana_dashboard: '1' },
      annotations: { grafana_folder: site.system },
    },
    data: { [`${dashboard.uid}.json`]: dashboardJson(dashboard) },
  }
}
