import type { Plan } from '#plan/plan.ts'
import type { Site } from '#providers/cluster.ts'
import { breakerOpen } from '../breakers.ts'
import { grpcFailures } from '../metrics.ts'
import type { Dashboard, Panel, Query, Row } from './panel.ts'

/** How the services fare: what is asked of each, how it answers, what it asks of others. */
export function systemDashboard(site: Site, plan: Plan): Dashboard {
  const { system, namespace } = site
  return {
    uid: `${system}-services`,
    title: `${system}: services`,
    tags: [system],
    variables: [
      {
        name: 'service',
        label: 'Service',
        query: `label_values(nodejs_eventloop_utilization{namespace="${namespace}"}, service)`,
      },
    ],
    rows: [answers(site), edges(site), ...(plan.stores.length > 0 ? [databases(site)] : [])],
  }
}

type Side = { readonly grpc: string; readonly http: string; readonly by: string; readonly labels: string }

function answers({ namespace }: Site): Row {
  const side: Side = {
    grpc: 'rpc_server_call_duration_seconds',
    http: 'http_server_request_duration_seconds',
    by: 'service',
    labels: `namespace="${namespace}",service=~"$service"`,
  }
  return {
    title: 'What is asked of each service',
    panels: [
      rate(side, 'Requests', '{{service}}'),
      failures(side, 'Failures', '{{service}}'),
      slowest(side, 'Slowest in a hundred', '{{service}}'),
      {
        title: 'Busy event loop',
        description:
          'The share of time in which a service computed. Above 0.7 it answers late whatever its callers declared.',
        unit: 'percentunit',
        queries: [{ expr: `max by (service) (nodejs_eventloop_utilization{${side.labels}})`, legend: '{{service}}' }],
      },
    ],
  }
}

function edges(site: Site): Row {
  const side: Side = {
    grpc: 'rpc_client_call_duration_seconds',
    http: 'http_client_request_duration_seconds',
    by: 'service, server_address',
    labels: `namespace="${site.namespace}",service=~"$service"`,
  }
  const legend = '{{service}} to {{server_address}}'
  const open = breakerOpen(site, {}, null)
  const breakers: Panel = {
    title: 'Breakers that are open',
    description: 'Endpoints that a caller leaves alone for a while, and openings that were over before they were seen.',
    unit: 'short',
    queries: [
      {
        expr: open ?? '',
        legend: site.mesh === 'istio' ? '{{service}}: {{cluster_name}}' : '{{service}} to {{backend_name}}',
      },
    ],
  }
  return {
    title: 'What each service asks of others, all attempts of the mesh included',
    panels: [
      rate(side, 'Calls', legend),
      failures(side, 'Failed calls', legend),
      slowest(side, 'Slowest call in a hundred', legend),
      ...(open === null ? [] : [breakers]),
    ],
  }
}

function databases({ namespace }: Site): Row {
  return {
    title: 'Databases',
    panels: [
      {
        title: 'Connections',
        description: 'By role. A role may take its replicas times its pool.',
        unit: 'short',
        queries: [{ expr: `sum by (usename) (cnpg_backends_total{namespace="${namespace}"})`, legend: '{{usename}}' }],
      },
      {
        title: 'Replicas behind',
        description: 'What a failover would have to catch up with.',
        unit: 's',
        queries: [{ expr: `max by (pod) (cnpg_pg_replication_lag{namespace="${namespace}"})`, legend: '{{pod}}' }],
      },
    ],
  }
}

function rate({ grpc, http, by, labels }: Side, title: string, legend: string): Panel {
  return {
    title,
    description: 'A second, over the last five minutes.',
    unit: 'reqps',
    queries: both(legend, (metric) => `sum by (${by}) (rate(${metric}_count{${labels}}[5m]))`, { grpc, http }),
  }
}

function failures({ grpc, http, by, labels }: Side, title: string, legend: string): Panel {
  const share = (metric: string, failed: string) =>
    `sum by (${by}) (rate(${metric}_count{${labels},${failed}}[5m])) / sum by (${by}) (rate(${metric}_count{${labels}}[5m]))`
  return {
    title,
    description: "The share that was the callee's fault.",
    unit: 'percentunit',
    queries: [
      { expr: share(grpc, `rpc_response_status_code=~"${grpcFailures}"`), legend },
      { expr: share(http, 'http_response_status_code=~"5..|"'), legend },
    ],
  }
}

function slowest({ grpc, http, by, labels }: Side, title: string, legend: string): Panel {
  const p99 = (metric: string) => `histogram_quantile(0.99, sum by (${by}, le) (rate(${metric}_bucket{${labels}}[5m])))`
  return { title, description: 'The 99th percentile.', unit: 's', queries: both(legend, p99, { grpc, http }) }
}

function both(legend: string, query: (metric: string) => string, of: Pick<Side, 'grpc' | 'http'>): readonly Query[] {
  return [of.grpc, of.http].map((metric) => ({ expr: query(metric), legend }))
}
