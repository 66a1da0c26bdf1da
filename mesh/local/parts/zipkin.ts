import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Plan } from '#plan/plan.ts'
import type { Layout } from '../layout.ts'
import { jvmFlags } from './java.ts'
import type { Part, PartTools } from './part.ts'
import { answersHttp } from './probe.ts'

/** Zipkin keeps the newest spans in memory; an order takes about 60. */
const spansMax = 50_000

/** Zipkin: takes traces and shows them. Nothing is kept over a restart. */
export function zipkinPart(_plan: Plan, layout: Layout, tools: PartTools): Part {
  const dir = join(layout.dataDir, 'zipkin')
  const { zipkin } = layout
  // Armeria's own property: `server.address` is ignored, and without this every address of the machine is taken.
  const port = (name: string, value: string | number) => `--armeria.ports[0].${name}=${value}`
  return {
    name: 'zipkin',
    kind: 'part',
    argv: [
      tools.java,
      ...jvmFlags({ heapMiB: 192, dir }),
      ...['-jar', tools.zipkinJar],
      ...[port('ip', zipkin.address), port('port', zipkin.port), port('protocols[0]', 'http')],
      `--zipkin.storage.mem.max-spans=${spansMax}`,
      ...['--logging.level.root=WARN', '--spring.main.banner-mode=off'],
    ],
    env: {},
    cwd: dir,
    user: null,
    logFile: join(layout.logsDir, 'zipkin.log'),
    needs: [],
    listens: [zipkin],
    sockets: [],
    urls: [`http://${zipkin.address}:${zipkin.port}`],
    async prepare() {
      // Libraries of it unpack themselves here at each start.
      await rm(dir, { recursive: true, force: true })
      await mkdir(dir, { recursive: true, mode: 0o700 })
    },
    ready: (signal) => answersHttp(zipkin, '/health', signal),
    // It would wait two seconds for requests, and has nothing to lose.
    stop: { signal: 'SIGTERM', graceMs: 300 },
  }
}
