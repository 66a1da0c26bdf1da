/** One way to render, in a process of its own: prints what it took as JSON. `contender.ts parley|cdk8s DIR` */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cdk8sApp } from '#cdk8s/app.ts'
import { fileRenderer } from '#cdk8s/files.ts'
import { parseSettings } from '#cdk8s/settings.ts'
import { checkSystem } from '#checks/check.ts'
import { write } from '#cluster/rendered.ts'
import { derive } from '#plan/derive.ts'
import { largeSystem } from './system.ts'

/** What a contender prints. `changeMs` is the time of a second rendering after one edge changed; null where it is the first over again. */
export type Figures = {
  readonly ms: number
  /** With writing to disk. */
  readonly writtenMs: number
  readonly memoryMiB: number
  readonly objects: number
  readonly changeMs: number | null
  /** Holding every rule against the declaration, before anything is rendered. */
  readonly checkMs: number | null
}

const services = 1_000
const settingsFile = join(import.meta.dirname, '../../charts/settings/production.yaml')
/** Without hosts and replicas, which name what the shop has. */
const settings = { ...parseSettings(readFileSync(settingsFile, 'utf8'), settingsFile), hosts: {}, replicas: {} }
const [contender, dir = ''] = process.argv.slice(2)
process.stdout.write(JSON.stringify(contender === 'cdk8s' ? cdk8s() : parley()))

/** From the declaration to the texts of the files, and to the files. */
function parley(): Figures {
  const [first, second] = [largeSystem(services), largeSystem(services, 900)]
  const render = fileRenderer('istio', settings)
  const began = performance.now()
  const files = render(derive(first, 'production'))
  const ms = performance.now() - began
  write(dir, files)
  const writtenMs = performance.now() - began
  const memoryMiB = memoryMax()
  const objects = [...files.values()].join('').match(/^---$/gm)?.length ?? 0

  const changed = performance.now()
  const again = render(derive(second, 'production'))
  const changeMs = performance.now() - changed
  const different = [...again].filter(([path, text]) => files.get(path) !== text).length
  if (different === 0 || different > 4) throw new Error(`${different} files differ after a change of one edge`)
  const checked = performance.now()
  const { findings } = checkSystem(second)
  if (findings.length > 0) throw new Error(`The large system has findings: ${findings[0]?.message}`)
  return { ms, writtenMs, memoryMiB, objects, changeMs, checkMs: performance.now() - checked }
}

/** From the same declaration to the same objects as one text, and one file, by cdk8s. */
function cdk8s(): Figures {
  const system = largeSystem(services)
  const began = performance.now()
  const app = cdk8sApp(derive(system, 'production'), 'istio', settings, dir)
  const text = app.synthYaml()
  const ms = performance.now() - began
  writeFileSync(join(dir, 'all.yaml'), text)
  const writtenMs = performance.now() - began
  const objects = app.charts.reduce((sum, chart) => sum + chart.apiObjects.length, 0)
  return { ms, writtenMs, memoryMiB: memoryMax(), objects, changeMs: null, checkMs: null }
}

function memoryMax(): number {
  return process.resourceUsage().maxRSS / 1024
}
