import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Layout, layoutOf } from '#local/layout.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { rootDir } from './sources.ts'

const run = promisify(execFile)
/** A start from nothing on a busy machine takes this long at worst. */
export const startTimeoutMs = 180_000

/** What a command left behind. */
export type Outcome = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** A run of a system of its own: its own state, its own addresses, so that it runs beside a user's. */
export type Stack = {
  readonly plan: Plan
  readonly layout: Layout
  /** Where people reach it, such as `http://127.77.9.1:8080`. */
  readonly url: string
  /** Runs `parley` for this run; never rejects for an exit code. */
  parley(...args: readonly string[]): Promise<Outcome>
  stop(): Promise<void>
}

/** Starts the shop. `network` is the third number of its addresses: two runs at a time must differ in it. */
export async function startShop(network: number): Promise<Stack> {
  const stack = shopStack(network)
  const { code, stdout, stderr } = await stack.parley('up')
  if (code === 0) return stack
  await stack.stop()
  throw new Error(`parley up exited with ${code}:\n${stdout}\n${stderr}`)
}

/** A shop that is not started yet. */
export function shopStack(network: number): Stack {
  const stateDir = mkdtempSync(join(tmpdir(), 'ply-'))
  const subnet = `127.77.${network}`
  const host = `${subnet}.1`
  const plan = derive(shop, 'local')
  const parley = parleyIn({ PARLEY_STATE: stateDir, PARLEY_SUBNET: subnet, PARLEY_HOST: host })
  return {
    plan,
    layout: layoutOf(plan, { stateDir, subnet, host }),
    url: `http://${host}:8080`,
    parley,
    async stop() {
      const { code, stderr } = await parley('down')
      rmSync(stateDir, { recursive: true, force: true })
      if (code !== 0) throw new Error(`parley down exited with ${code}: ${stderr}`)
    },
  }
}

/** Runs `bin/parley` as a user would, with these variables beside the environment's. The toolchain is the checkout's. */
export function parleyIn(
  variables: Readonly<Record<string, string>>,
): (...args: readonly string[]) => Promise<Outcome> {
  const env = {
    ...process.env,
    PARLEY_TOOLS: join(rootDir, '.parley/tools'),
    TARGET: 'local',
    ...variables,
    NODE_OPTIONS: '',
  }
  return async (...args) => {
    try {
      const { stdout, stderr } = await run(join(rootDir, 'bin/parley'), args, {
        env,
        cwd: rootDir,
        maxBuffer: 64 * 1024 * 1024,
      })
      return { code: 0, stdout, stderr }
    } catch (error) {
      const { code, stdout = '', stderr = '' } = error as { code?: number | string; stdout?: string; stderr?: string }
      if (typeof code !== 'number') throw error
      return { code, stdout, stderr }
    }
  }
}

/** Asks until an answer is right; fails with the last answer after `timeoutMs`. For what happens by events. */
export async function eventually<T>(
  ask: () => Promise<T>,
  right: (answer: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (right(answer)) return answer
    if (performance.now() > endMs)
      throw new Error(`It did not become so within ${timeoutMs} ms; last: ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
