import { needsOf, type Operators, operatorsFor } from '#cdk8s/operators.ts'
import { render } from '#cdk8s/render.ts'
import { edgeSecret } from '#cdk8s/workloads/edge-certificates.ts'
import type { Plan } from '#plan/plan.ts'
import { type Mesh, type Settings, type Site, siteOf } from '#providers/cluster.ts'
import { answering } from './answering.ts'
import type { Connection } from './connection.ts'
import { type DeployEvent, type DeployResult, deploy } from './deploy.ts'
import { deliverImage } from './image.ts'
import { ensureKind, kindCluster, kindExists } from './kind.ts'
import { installOperators, type OperatorEvent } from './operators.ts'
import { type Machine, preflight, requireFit } from './preflight.ts'
import { openJaeger, tlsName, type Url, urlsOf } from './reach.ts'
import { edgeAuthority, orderExposure, placeSmokeOrder, type Smoke } from './smoke.ts'
import { waitDefaults } from './wait.ts'

/** The steps to a running system on kind, in order. */
const steps = ['preflight', 'cluster', 'operators', 'image', 'system', 'order'] as const
/** One of them. */
export type Step = (typeof steps)[number]

/** What is brought up on kind. */
export type KindUpRequest = {
  readonly plan: Plan
  readonly mesh: Mesh
  readonly settings: Settings
  readonly operators: Operators
  /** The checkout, with Dockerfile, kind-config.yaml and charts. */
  readonly rootDir: string
  /** The system's file, from the checkout's root. */
  readonly systemFile: string
  readonly kindFile: string
  readonly machine: Machine
  readonly signal: AbortSignal
  readonly report: (event: ClusterEvent) => void
}

/** What happens on the way, for whoever shows it. */
export type ClusterEvent =
  | { readonly kind: 'step'; readonly step: string; readonly state: 'begun' | 'done'; readonly detail: string }
  /** Where a step is, which the next one replaces. */
  | { readonly kind: 'detail'; readonly step: string; readonly detail: string }
  | { readonly kind: 'note'; readonly text: string }
  /** Why nothing goes on; told when it changes. */
  | { readonly kind: 'why'; readonly lines: readonly string[] }

/** A system that runs on kind. `smoke` is null for one that takes no orders. */
export type KindUp = {
  readonly context: string
  readonly urls: readonly (Url & { readonly answers: boolean })[]
  readonly deployed: DeployResult
  readonly smoke: Smoke | null
}

/**
 * Brings a system up on kind. Each step takes what is there already, so that running it again, or after an
 * interruption at any point, continues.
 * @throws ClusterError, WrongContext, RenderError
 */
export async function upOnKind(request: KindUpRequest): Promise<KindUp> {
  const { plan, mesh, settings, operators, machine, signal, report, rootDir } = request
  const { run } = machine
  const cluster = kindCluster(request.kindFile)
  const telling = teller(report)
  const lines = (step: Step) => (line: string) => report({ kind: 'detail', step, detail: line })
  const say = (text: string): void => report({ kind: 'note', text })
  // What cannot be rendered is found out before a cluster is made for it.
  render(plan, mesh, settings)

  await telling('preflight', 'looking at Docker, kind, helm, kubectl, memory and ports', async () => {
    const running = await kindExists(cluster, { run, signal }).catch(() => false)
    const findings = await preflight(machine, { ports: cluster.config.ports, running })
    for (const warning of findings.warnings) say(`Beware: ${warning}`)
    requireFit(findings)
    return 'fit'
  })
  const connection = await telling('cluster', `kind ${cluster.config.name}`, () =>
    ensureKind(cluster, { run, signal, say, onLine: lines('cluster') }),
  )
  const wait = { ...waitDefaults, signal }
  const chosen = operatorsFor(operators, mesh, needsOf(plan, settings))
  await telling('operators', chosen.operators.map(({ name }) => name).join(', '), () =>
    installOperators(connection, { run, rootDir, operators: chosen, wait, signal, report: operatorTeller(report) }),
  )
  const image = await telling('image', 'building, then loading it into the nodes', () =>
    deliverImage({
      run,
      rootDir,
      system: request.systemFile,
      image: settings.image,
      cluster: cluster.config.name,
      onLine: lines('image'),
      signal,
    }),
  )
  const components = render(plan, mesh, { ...settings, image })
  const deployed = await telling('system', `${plan.system}, ${mesh === 'none' ? 'no mesh' : mesh}`, () =>
    deploy(connection, {
      system: plan.system,
      components,
      dryRun: false,
      prune: true,
      wait,
      report: deployTeller(report),
    }),
  )
  await openJaeger(connection)
  const site = siteOf(plan, mesh, settings)
  const urls = urlsOf(plan, site, cluster.config)
  const smoke = await telling('order', 'placing one through the edge', () => order(connection, request, site, urls))
  return { context: connection.context, urls: await answering(urls, signal), deployed, smoke }
}

async function order(
  connection: Connection,
  { plan, signal, report }: KindUpRequest,
  site: Site,
  urls: readonly Url[],
): Promise<Smoke | null> {
  const exposure = orderExposure(plan)
  const edge = exposure && urls.find(({ name }) => name === tlsName(exposure.name))
  if (!edge) {
    report({ kind: 'note', text: `${plan.system} takes no orders, so none was placed to prove it.` })
    return null
  }
  const authority = await edgeAuthority(connection, plan.namespace, edgeSecret(site))
  return placeSmokeOrder({
    url: edge.url,
    address: '127.0.0.1',
    port: Number(new URL(edge.url).port),
    authority,
    signal,
    say: (text) => report({ kind: 'detail', step: 'order', detail: text }),
  })
}

function teller(report: (event: ClusterEvent) => void) {
  return async <T>(step: Step, detail: string, act: () => Promise<T>): Promise<T> => {
    report({ kind: 'step', step, state: 'begun', detail })
    const result = await act()
    report({ kind: 'step', step, state: 'done', detail: doneWords(result) })
    return result
  }
}

function doneWords(result: unknown): string {
  if (typeof result === 'string') return result
  if (typeof result !== 'object' || result === null) return ''
  if ('created' in result) return deployedWords(result as DeployResult)
  if ('tag' in result && 'repository' in result) return `${result.repository}:${result.tag}`
  if ('orderId' in result)
    return `order ${result.orderId} shipped after ${(Number((result as Smoke).tookMs) / 1000).toFixed(1)} s`
  return 'context' in result ? String(result.context) : ''
}

/** How many objects became what, in words. */
export function deployedWords({ created, changed, unchanged, removed }: DeployResult): string {
  return `${created} created, ${changed} changed, ${unchanged} as they were, ${removed} removed`
}

/** Shows what happens while objects are applied. The reason of a standstill is told once. */
export function deployTeller(report: (event: ClusterEvent) => void): (event: DeployEvent) => void {
  const why = onChange(report)
  return (event) => {
    switch (event.kind) {
      case 'applied':
        return report({ kind: 'detail', step: 'system', detail: `${event.wave}: ${event.done} of ${event.of} applied` })
      case 'wave':
        return report({ kind: 'detail', step: 'system', detail: `${event.wave}: applied` })
      case 'waiting':
        why(event.why)
        return report({ kind: 'detail', step: 'system', detail: `${event.wave}: ${waitWords(event)}` })
      case 'pruning':
        return report({
          kind: 'note',
          text: `No longer declared, ${event.dryRun ? 'would be' : 'is'} removed: ${event.objects.join(', ')}`,
        })
      case 'note':
        return report(event)
    }
  }
}

function operatorTeller(report: (event: ClusterEvent) => void): (event: OperatorEvent) => void {
  const why = onChange(report)
  return (event) => {
    switch (event.kind) {
      case 'installing':
        return report({ kind: 'detail', step: 'operators', detail: `${event.names.join(', ')}: ${event.line}` })
      case 'installed':
        return report({ kind: 'note', text: `${event.name} ${event.version} is installed` })
      case 'waiting':
        why(event.why)
        return report({ kind: 'detail', step: 'operators', detail: waitWords(event) })
    }
  }
}

function waitWords({
  ready,
  of,
  waiting,
}: Extract<DeployEvent, { kind: 'waiting' }> | Extract<OperatorEvent, { kind: 'waiting' }>): string {
  const [first] = waiting
  const what = first ? `; ${first.object.kind} ${first.object.metadata.name}: ${first.readiness.reason}` : ''
  return `${ready} of ${of} ready${what}`
}

function onChange(report: (event: ClusterEvent) => void): (lines: readonly string[]) => void {
  let told = ''
  return (lines) => {
    const text = lines.join('\n')
    if (text !== told && lines.length > 0) report({ kind: 'why', lines })
    told = text
  }
}
