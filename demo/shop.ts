import { type Layout, layoutOf } from '#local/layout.ts'
import { controlOf } from '#local/supervisor/control.ts'
import { type Admins, adminsOf } from '#mesh/cli/admins.ts'
import { UsageError } from '#mesh/cli/exit.ts'
import { findRun, type RunOptions, stateDirOf } from '#mesh/cli/find-run.ts'
import { loadSystem } from '#mesh/cli/load.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'

/** The running shop, and every way to ask it. */
export type Shop = {
  readonly plan: Plan
  readonly layout: Layout
  /** Stops and starts services, as `bin/parley stop` does. */
  readonly control: Pick<ReturnType<typeof controlOf>, 'start' | 'stop' | 'status'>
  /** Each service's admin address, as `bin/parley operate` asks it. */
  admins(): Promise<Admins>
  /** Where a service is reached from outside, such as `http://127.0.0.1:8080`. Throws for one that is not exposed. */
  edgeOf(service: string): string
  /** The page of a stand-in for people, such as the mailbox. */
  pageOf(external: string): string
}

/** Finds the run that is meant, as every command does. Throws a UsageError with the next step where none runs. */
export async function findShop(options: RunOptions): Promise<Shop> {
  const run = await findRun(options)
  if (!run?.live || !run.file)
    throw new UsageError('Nothing is running, so there is nothing to show. Start it: make up')
  const { systemFile, subnet, host, socket } = run.file
  const plan = derive((await loadSystem(systemFile)).system, 'local')
  if (plan.system !== 'shop') throw new UsageError(`What runs is ${plan.system}: the demo walks through the shop.`)
  const layout = layoutOf(plan, { stateDir: stateDirOf(options), subnet, host })
  return {
    plan,
    layout,
    control: controlOf(socket),
    admins: () => adminsOf(options),
    edgeOf: (service) => addressOf(layout.services[service]?.edge, `${service} is not exposed`),
    pageOf: (external) => addressOf(layout.externals[external]?.web, `${external} has no page`),
  }
}

function addressOf(at: { address: string; port: number } | null | undefined, otherwise: string): string {
  if (!at) throw new Error(otherwise)
  return `http://${at.address}:${at.port}`
}
