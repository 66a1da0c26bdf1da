import { createHash } from 'node:crypto'
import type { Plan } from '#plan/plan.ts'
import { ensureCertificates, renewCertificates, rotateCertificates } from './certificates/certificates.ts'
import type { EnvironmentOptions } from './environment.ts'
import { type Layout, type LayoutOptions, layoutOf } from './layout.ts'
import { kafkaPart } from './parts/kafka.ts'
import { partsOf } from './parts/parts.ts'
import { postgresPart } from './parts/postgres.ts'
import { rabbitmqPart } from './parts/rabbitmq.ts'
import type { ProcessSpec } from './process.ts'
import { servicePrograms, standInPrograms } from './processes.ts'
import { type RunEvent, type SupervisedRun, superviseRun } from './supervisor/daemon.ts'
import { ensureToolchain, type Tools } from './toolchain/toolchain.ts'
import type { ToolName } from './toolchain/tools.ts'

/** Everything that decides a run, as plain data: the supervisor gets it as a file. */
export type RunRequest = {
  readonly plan: Plan
  readonly layout: LayoutOptions
  readonly systemFile: string
  /** The folder to which the declaration's `start` paths are relative. */
  readonly rootDir: string
  readonly toolsDir: string
  readonly compileCacheDir: string
  /** Whether Prometheus and Zipkin run too. */
  readonly telemetry: boolean
  readonly path: string
  readonly home: string
  readonly environment: EnvironmentOptions
}

/** What tells two runs of one system apart: another plan, or other options. Where programs are found is none of it. */
export function fingerprintOf({ plan, layout, rootDir, telemetry, environment }: RunRequest): string {
  const text = JSON.stringify({ plan, layout, rootDir, telemetry, environment })
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** The tools that a run stands on: a system without topics needs no Kafka, one without stores no Postgres. */
export function toolNeeds(plan: Plan, telemetry: boolean): ToolName[] {
  return [
    'envoy',
    ...(plan.topics.length > 0 ? (['kafka'] as const) : []),
    ...(plan.stores.length > 0 ? (['postgres'] as const) : []),
    ...(plan.queues.length > 0 ? (['rabbitmq'] as const) : []),
    ...(telemetry ? (['prometheus', 'zipkin'] as const) : []),
  ]
}

/** Every process of a run. */
function processesOf(request: RunRequest, layout: Layout, tools: Tools): ProcessSpec[] {
  const { plan, telemetry } = request
  const parts = telemetry
    ? partsOf(plan, layout, tools)
    : [kafkaPart(plan, layout, tools), rabbitmqPart(plan, layout, tools), postgresPart(plan, layout, tools)]
  const options = { ...request, node: tools.node, envoy: tools.envoy }
  return [
    ...parts.filter((part) => part !== null),
    ...standInPrograms(plan, layout, options),
    ...servicePrograms(plan, layout, options),
  ]
}

/** Runs a run until it is told to stop, as `superviseRun` does. The toolchain must be there already. */
export async function performRun(
  request: RunRequest,
  report: (event: RunEvent) => void,
  stop: AbortController,
): Promise<boolean> {
  // Sockets and files belong to this user alone from the moment they exist.
  process.umask(0o077)
  try {
    return await superviseRun(await supervisedRun(request), report, stop)
  } catch (error) {
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    return false
  }
}

async function supervisedRun(request: RunRequest): Promise<SupervisedRun> {
  const { plan, toolsDir, telemetry } = request
  const layout = layoutOf(plan, request.layout)
  const tools = await ensureToolchain({ toolsDir, needs: toolNeeds(plan, telemetry), report: () => {} })
  return {
    layout,
    system: plan.system,
    systemFile: request.systemFile,
    subnet: request.layout.subnet,
    fingerprint: fingerprintOf(request),
    specs: processesOf(request, layout, tools),
    prepare: () => ensureCertificates(plan, layout),
    renew: (settle) => renewCertificates(plan, layout, { settle }),
    rotate: (authority, settle) => rotateCertificates(plan, layout, { authority, settle }),
  }
}
