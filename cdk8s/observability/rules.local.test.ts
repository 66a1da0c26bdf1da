/** Prometheus's own tool reads every rule, and each kind of alert fires when it must and is silent when it must not. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { slicesOf } from '#plan/slices.ts'
import { type Mesh, siteOf } from '#providers/cluster.ts'
import { parseSettings } from '../settings.ts'
import { alertRules } from './rules.ts'
import { systemRules } from './sagas.ts'

const settings = parseSettings(
  'image: { repository: parley/services, tag: dev }\ngit: { url: "https://git.example/x.git", revision: main }\n',
  'test.yaml',
)
const folder = mkdtempSync(join(tmpdir(), 'parley-rules-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What Prometheus sees, a sample a minute; after how long; and which alerts fire then, as `alert service severity`. */
type Case = {
  readonly what: string
  readonly series: Readonly<Record<string, string>>
  readonly after: string
  readonly fires: readonly string[]
}

const grpc = (kind: 'server' | 'client', labels: string) =>
  `rpc_${kind}_call_duration_seconds_count{namespace="shop",${labels}}`
const calls = (status: string) =>
  grpc('client', `service="orders",server_address="inventory",rpc_response_status_code="${status}"`)
const bucket = (le: string) =>
  `rpc_server_call_duration_seconds_bucket{namespace="shop",service="orders",rpc_method="parley.orders.v1.OrderService/CreateOrder",le="${le}"}`
const lag = (labels: string) => `kafka_consumergroup_lag{namespace="shop",${labels}}`
const offset = (labels: string) => `kafka_consumergroup_current_offset{namespace="shop",${labels}}`
const checkoutGroup = 'consumergroup="payments",topic="stock",partition="0"'
const end = (topic: string) => `kafka_topic_partition_current_offset{namespace="shop",topic="${topic}",partition="0"}`
const ready = (queue: string) =>
  `rabbitmq_detailed_queue_messages_ready{namespace="shop",vhost="shop",queue="${queue}"}`
const available = (deployment: string) =>
  `kube_deployment_status_replicas_available{namespace="shop",deployment="${deployment}"}`
const leaderGroup = 'consumergroup="fulfilment",topic="orders",partition="0"'
const sagaAge = (service: string, saga: string) =>
  `parley_saga_age_seconds{namespace="shop",service="${service}",saga="${saga}"}`
const sagaStuck = (saga: string) => `parley_saga_stuck{namespace="shop",service="fulfilment",saga="${saga}"}`
const waiting = (service: string, destination: string) =>
  `parley_dead_letters_waiting{namespace="shop",service="${service}",destination="${destination}"}`
const age = (service: string) => `parley_outbox_age_seconds{namespace="shop",service="${service}",destination="x"}`
const readModel = (what: string, state: string) =>
  `parley_projection_${what}{namespace="shop",service="orders",projection="order_list",state="${state}"}`

const cases: readonly Case[] = [
  {
    what: 'one call in a thousand fails: the budget lasts',
    series: { [calls('OK')]: '0+6000x90', [calls('UNAVAILABLE')]: '0+6x90' },
    after: '90m',
    fires: [],
  },
  {
    what: 'one call in ten fails for an hour',
    series: { [calls('OK')]: '0+5400x90', [calls('UNAVAILABLE')]: '0+600x90' },
    after: '90m',
    fires: ['ServiceBurnsErrorBudget inventory page', 'ServiceBurnsErrorBudget inventory ticket'],
  },
  {
    what: 'calls failed, and do no more: nobody is woken, and the budget that is gone is read of',
    series: { [calls('OK')]: '0+5400x60 330000+6000x60', [calls('UNAVAILABLE')]: '0+1800x60 106200x60' },
    after: '115m',
    fires: ['ServiceBurnsErrorBudget inventory ticket'],
  },
  {
    what: "callers' own faults are none of the callee's",
    series: { [calls('OK')]: '0+3000x90', [calls('NOT_FOUND')]: '0+3000x90' },
    after: '90m',
    fires: [],
  },
  {
    what: 'half of the answers over HTTP are errors',
    series: {
      'http_server_request_duration_seconds_count{namespace="shop",service="gateway",http_response_status_code="201"}':
        '0+600x90',
      'http_server_request_duration_seconds_count{namespace="shop",service="gateway",http_response_status_code="503"}':
        '0+600x90',
    },
    after: '90m',
    fires: ['ServiceBurnsErrorBudget gateway page', 'ServiceBurnsErrorBudget gateway ticket'],
  },
  {
    what: 'not one replica of an exposed service is ready, nor of one without callers',
    series: { [available('gateway')]: '2x5 0x10', [available('shipping')]: '0x15', [available('orders')]: '1x15' },
    after: '12m',
    fires: ['ServiceGone gateway page', 'ServiceGone shipping page'],
  },
  {
    what: 'a lone replica is replaced',
    series: { [available('gateway')]: '1x5 0 1x10' },
    after: '6m',
    fires: [],
  },
  {
    what: 'one answer in twenty takes more than a second',
    series: {
      [bucket('0.25')]: '0+570x30',
      [bucket('1')]: '0+570x30',
      [bucket('2.5')]: '0+600x30',
      [bucket('+Inf')]: '0+600x30',
      [grpc('server', 'service="orders",rpc_response_status_code="OK"')]: '0+600x30',
    },
    after: '25m',
    fires: ['ServiceSlow orders ticket'],
  },
  {
    what: 'all answers are fast',
    series: {
      [bucket('0.25')]: '0+600x30',
      [bucket('+Inf')]: '0+600x30',
      [grpc('server', 'service="orders",rpc_response_status_code="OK"')]: '0+600x30',
    },
    after: '25m',
    fires: [],
  },
  {
    what: 'a group is further behind than is borne',
    series: { [lag(checkoutGroup)]: '12000x20', [offset(checkoutGroup)]: '0+500x20' },
    after: '10m',
    fires: ['ConsumerFallsBehind payments ticket'],
  },
  {
    what: 'a group is a little behind, and moves',
    series: { [lag(checkoutGroup)]: '900x20', [offset(checkoutGroup)]: '0+500x20' },
    after: '10m',
    fires: [],
  },
  {
    what: 'an event before a step of the saga is not taken up',
    series: { [lag(checkoutGroup)]: '3x20', [offset(checkoutGroup)]: '700x20' },
    after: '10m',
    fires: ['SagaStuck orders page'],
  },
  {
    what: 'an event of no saga is not taken up',
    series: {
      [lag('consumergroup="notifications",topic="orders",partition="0"')]: '3x20',
      [offset('consumergroup="notifications",topic="orders",partition="0"')]: '700x20',
    },
    after: '10m',
    fires: [],
  },
  {
    what: 'the very first event is put aside, of a group that is in no saga',
    series: { [end('orders.notifications.dead-letter')]: '0x10 1x10' },
    after: '15m',
    fires: ['DeadLetters notifications ticket'],
  },
  {
    what: 'an event of a saga is put aside',
    series: { [end('stock.payments.dead-letter')]: '5x10 6x5' },
    after: '11m',
    fires: ['DeadLetters payments ticket', 'SagaStuck orders page'],
  },
  {
    what: 'dead letters of last week lie where they are',
    series: { [end('stock.payments.dead-letter')]: '5x120', [ready('emails.dead-letter')]: '0x120' },
    after: '100m',
    fires: [],
  },
  {
    what: 'a task waits among the dead, and nobody fetches it',
    series: { [ready('emails')]: '40x20', [ready('emails.dead-letter')]: '1x20' },
    after: '10m',
    fires: ['DeadLetters notifications ticket'],
  },
  {
    what: 'a task that was put aside waits for a decision, and then for none',
    series: { [ready('emails.dead-letter')]: '0x30', [waiting('notifications', 'emails')]: '0x5 1x5 0x20' },
    after: '8m',
    fires: ['DeadLetters notifications ticket'],
  },
  {
    what: 'a decision was taken',
    series: { [ready('emails.dead-letter')]: '0x30', [waiting('notifications', 'emails')]: '0x5 1x5 0x20' },
    after: '20m',
    fires: [],
  },
  {
    what: 'events of a service outside of the saga wait in its outbox',
    series: { [age('shipping')]: '0+30x20' },
    after: '10m',
    fires: ['OutboxWaits shipping page'],
  },
  {
    what: 'events of a saga wait in an outbox',
    series: { [age('payments')]: '0+30x20' },
    after: '10m',
    fires: ['OutboxWaits payments page', 'SagaStuck orders page'],
  },
  {
    what: 'a led saga is not at its end in time, and others are on their way',
    series: { [sagaAge('fulfilment', 'fulfil')]: '0+30x20', [sagaAge('orders', 'checkout')]: '40x20' },
    after: '10m',
    fires: ['SagaStuck fulfilment page'],
  },
  {
    what: 'a choreographed saga is not at its end in time',
    series: { [sagaAge('orders', 'checkout')]: '0+30x20' },
    after: '10m',
    fires: ['SagaStuck orders page'],
  },
  {
    what: 'a compensation is not answered, within its time',
    series: { [sagaAge('fulfilment', 'fulfil')]: '35x20', [sagaStuck('fulfil')]: '0x5 1x15' },
    after: '6m',
    fires: ['SagaStuck fulfilment page'],
  },
  {
    what: 'led sagas end in time, one after the other',
    series: { [sagaAge('fulfilment', 'fulfil')]: '50x20', [sagaStuck('fulfil')]: '0x20' },
    after: '10m',
    fires: [],
  },
  {
    what: 'nobody begins the sagas that events ask for',
    series: { [lag(leaderGroup)]: '3x20', [offset(leaderGroup)]: '700x20' },
    after: '10m',
    fires: ['SagaStuck fulfilment page'],
  },
  {
    what: 'a read model holds an event back',
    series: { [readModel('parked', 'active')]: '0x5 1x20' },
    after: '10m',
    fires: ['ReadModelBehind orders ticket'],
  },
  {
    what: 'a read model stands still',
    series: { [readModel('lag_seconds', 'active')]: '0+30x20' },
    after: '10m',
    fires: ['ReadModelBehind orders ticket'],
  },
  {
    what: 'a read model is built anew',
    series: { [readModel('lag_seconds', 'building')]: '9000x20', [readModel('lag_seconds', 'active')]: '0x20' },
    after: '10m',
    fires: [],
  },
  {
    what: 'webhooks are due and nobody delivers them',
    series: {
      'parley_webhook_lateness_seconds{namespace="shop",service="webhooks",webhook="order-updates"}': '0x5 61x15',
    },
    after: '8m',
    fires: ['WebhooksLate webhooks ticket'],
  },
  { what: 'an outbox empties as it fills', series: { [age('payments')]: '1x20' }, after: '10m', fires: [] },
]

const ejections = (name: string, to: string) =>
  `envoy_cluster_outlier_detection_ejections_${name}{namespace="shop",service="gateway",cluster_name="outbound|8080||${to}.shop.svc.cluster.local"}`
const ejected = (service: string, cluster: string) =>
  `envoy_cluster_outlier_detection_ejections_active{namespace="shop",service="${service}",cluster_name="outbound|${cluster}"}`
const endpoints = (state: string, service = 'gateway', backend = 'backend_name="orders",backend_namespace="shop"') =>
  `outbound_http_balancer_endpoints{namespace="shop",service="${service}",${backend},endpoint_state="${state}"}`

const outside = 'backend_name="bank",backend_namespace="shop-outside"'

const quiet: Case = { what: 'nothing is there', series: {}, after: '5m', fires: [] }

const breakerCases: Readonly<Record<'istio' | 'linkerd', readonly Case[]>> = {
  istio: [
    {
      what: 'an endpoint is ejected',
      series: { [ejections('active', 'orders')]: '0x5 1x5' },
      after: '8m',
      fires: ['BreakerOpen gateway ticket'],
    },
    {
      what: 'an ejection was over before it was seen',
      series: { [ejections('active', 'orders')]: '0x20', [ejections('enforced_total', 'orders')]: '3x5 4x15' },
      after: '8m',
      fires: ['BreakerOpen gateway ticket'],
    },
    {
      what: 'systems outside are ejected: one by its host, one by the Service that plays it',
      series: {
        [ejected('payments', '80||bank.example')]: '1x20',
        [ejected('notifications', '587||mail.shop-outside.svc.cluster.local')]: '1x20',
        [ejected('shipping', '80||bank.example')]: '1x20',
      },
      after: '8m',
      fires: ['BreakerOpen notifications ticket', 'BreakerOpen payments ticket'],
    },
    {
      what: 'nothing is ejected, or only what is no edge',
      series: {
        [ejections('active', 'orders')]: '0x20',
        [ejections('enforced_total', 'orders')]: '4x20',
        [ejections('active', 'ordersx')]: '1x20',
      },
      after: '8m',
      fires: [],
    },
  ],
  linkerd: [
    {
      what: 'the only endpoint is held back',
      series: { [endpoints('pending')]: '0x5 1x5', [endpoints('ready')]: '1x5 0x5' },
      after: '8m',
      fires: ['BreakerOpen gateway ticket'],
    },
    {
      what: 'the stand-in of a system outside is held back, and not a service of its name',
      series: {
        [endpoints('pending', 'payments', outside)]: '1x20',
        [endpoints('ready', 'payments', outside)]: '0x20',
        [endpoints('pending', 'gateway', outside)]: '1x20',
        [endpoints('ready', 'gateway', outside)]: '0x20',
      },
      after: '8m',
      fires: ['BreakerOpen payments ticket'],
    },
    {
      what: 'one is being connected to beside one that answers',
      series: { [endpoints('pending')]: '1x20', [endpoints('ready')]: '1x20' },
      after: '8m',
      fires: [],
    },
  ],
}

test.each([
  ['istio', [...cases, ...breakerCases.istio]],
  ['linkerd', breakerCases.linkerd],
  ['none', [quiet]],
] as const)('with mesh %s', (mesh, seen) => {
  const rules = join(folder, `${mesh}.rules.yaml`)
  writeFileSync(rules, stringify({ groups: groupsFor(mesh) }))
  expect(promtool('check', 'rules', rules)).toMatch(/SUCCESS: \d+ rules found/)
  const tests = join(folder, `${mesh}.test.yaml`)
  writeFileSync(
    tests,
    stringify({
      rule_files: [rules],
      evaluation_interval: '1m',
      tests: seen.map(caseOf),
    }),
  )
  expect(promtool('test', 'rules', tests)).toContain('SUCCESS')
})

test('each kind of alert that a plan has is seen to fire', () => {
  const fired = new Set([...cases, ...breakerCases.istio].flatMap(({ fires }) => fires.map((one) => one.split(' ')[0])))
  const rules = groupsFor('istio').flatMap((group) => group.rules.flatMap((rule) => rule.alert ?? []))
  expect([...new Set(rules)].sort()).toEqual([...fired].sort())
})

function groupsFor(mesh: Mesh) {
  const plan = derive(shop, 'kind')
  const site = siteOf(plan, mesh, settings)
  const objects = [
    ...[...slicesOf(plan).values()].flatMap((slice) => alertRules.render(site, slice)),
    ...systemRules.render(site, plan),
  ]
  return objects.flatMap(
    ({ spec }) => (spec as { groups: { name: string; rules: { alert?: string; expr: string }[] }[] }).groups,
  )
}

function caseOf({ what, series, after, fires }: Case) {
  return {
    name: what,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: 'count by (alertname, service, severity) (ALERTS{alertstate="firing"}) > bool 0',
        eval_time: after,
        exp_samples: fires.map((fire) => {
          const [alert, service, severity] = fire.split(' ')
          return { labels: `{alertname="${alert}",service="${service}",severity="${severity}"}`, value: 1 }
        }),
      },
    ],
  }
}

function promtool(...args: readonly string[]): string {
  const { stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8', timeout: 60_000 })
  if (error) throw error
  return stdout + stderr
}
