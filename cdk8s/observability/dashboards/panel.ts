import { fitted } from '#providers/cluster.ts'

/** Pieces of Grafana's dashboards, as its files have them. */

/** One query of a panel, and how its lines are called: `{{service}}`. */
export type Query = { readonly expr: string; readonly legend: string }
/** A graph over time. `unit` is Grafana's: `s`, `reqps`, `percentunit`, `short`. */
export type Panel = {
  readonly title: string
  readonly description: string
  readonly unit: string
  readonly queries: readonly Query[]
}
/** Panels under a heading. */
export type Row = { readonly title: string; readonly panels: readonly Panel[] }
/** A list of services to choose from, out of a metric's label. */
export type Variable = { readonly name: string; readonly label: string; readonly query: string }

/** A whole dashboard. `uid` is its address, the same on every Grafana; a long one is shortened. */
export type Dashboard = {
  readonly uid: string
  readonly title: string
  readonly tags: readonly string[]
  readonly variables: readonly Variable[]
  readonly rows: readonly Row[]
}

/** The data source that kube-prometheus-stack sets up. */
const datasource = { type: 'prometheus', uid: 'prometheus' } as const
/** Grafana takes no longer ones. */
const uidCharactersMax = 40
const columns = 2
const height = 8

/** A dashboard in Grafana's own format. The same dashboard gives the same text. */
export function dashboardJson({ uid, title, tags, variables, rows }: Dashboard): string {
  return `${JSON.stringify(
    {
      uid: fitted(uid, uidCharactersMax),
      title,
      tags,
      schemaVersion: 39,
      editable: false,
      refresh: '30s',
      time: { from: 'now-1h', to: 'now' },
      templating: { list: variables.map(variableJson) },
      panels: panelsJson(rows),
    },
    null,
    1,
  )}\n`
}

function variableJson({ name, label, query }: Variable) {
  return {
    name,
    label,
    type: 'query',
    datasource,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  }
}

function panelsJson(rows: readonly Row[]): readonly object[] {
  const out: object[] = []
  let y = 0
  for (const { title, panels } of rows) {
    out.push({
      id: out.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { h: 1, w: 24, x: 0, y },
      panels: [],
    })
    y += 1
    for (const [index, panel] of panels.entries()) {
      const width = 24 / columns
      const gridPos = { h: height, w: width, x: (index % columns) * width, y: y + Math.floor(index / columns) * height }
      out.push({ id: out.length + 1, ...panelJson(panel), gridPos })
    }
    y += Math.ceil(panels.length / columns) * height
  }
  return out
}

function panelJson({ title, description, unit, queries }: Panel) {
  return {
    type: 'timeseries',
    title,
    description,
    datasource,
    fieldConfig: { defaults: { unit, min: 0, custom: { lineWidth: 1, fillOpacity: 10 } }, overrides: [] },
    options: { legend: { displayMode: 'table', placement: 'right', calcs: ['lastNotNull', 'max'] } },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource,
      expr,
      legendFormat: legend,
    })),
  }
}
