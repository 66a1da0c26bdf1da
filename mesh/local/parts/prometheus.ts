import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Plan } from '#plan/plan.ts'
import type { Endpoint, Layout } from '../layout.ts'
import type { Part, PartTools } from './part.ts'
import { answersHttp } from './probe.ts'

const scrapeInterval = '5s'

/** Prometheus: scrapes every sidecar, which passes on what its service tells, and the parts. Keeps a day, or 256 MB. */
export function prometheusPart(plan: Plan, layout: Layout, tools: PartTools): Part {
  const dir = join(layout.dataDir, 'prometheus')
  const configFile = join(dir, 'prometheus.yml')
  const { prometheus } = layout
  return {
    name: 'prometheus',
    kind: 'part',
    argv: [
      tools.prometheus,
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(dir, 'tsdb')}`,
      '--storage.tsdb.retention.time=1d',
      '--storage.tsdb.retention.size=256MB',
      `--web.listen-address=${authority(prometheus)}`,
      '--log.level=warn',
    ],
    // Its memory is small; a second thread would only contend with the services.
    env: { GOMAXPROCS: '1', GOGC: '50' },
    cwd: dir,
    user: null,
    logFile: join(layout.logsDir, 'prometheus.log'),
    needs: [],
    listens: [prometheus],
    sockets: [],
    urls: [`http://${authority(prometheus)}`],
    async prepare() {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      await writeFile(configFile, stringify(prometheusConfig(plan, layout)), { mode: 0o600 })
    },
    ready: (signal) => answersHttp(prometheus, '/-/ready', signal),
    stop: { signal: 'SIGTERM', graceMs: 5_000 },
  }
}

/**
 * What Prometheus scrapes, as it goes into its file: from every sidecar `services` (the application, passed on) and
 * `sidecars` (Envoy), and the parts that tell of themselves. `service` is a label of each series.
 */
export function prometheusConfig(plan: Plan, layout: Layout): object {
  const services = plan.services.flatMap(({ name }) => {
    const site = layout.services[name]
    return site ? [{ targets: [authority(site.metrics)], labels: { service: name } }] : []
  })
  const broker = [{ targets: [authority({ ...layout.rabbitmq, port: layout.rabbitmq.metricsPort })] }]
  const job = (name: string, path: string, targets: object[], more = {}): object[] =>
    targets.length === 0 ? [] : [{ job_name: name, metrics_path: path, ...more, static_configs: targets }]
  return {
    global: { scrape_interval: scrapeInterval, scrape_timeout: '4s', external_labels: { system: plan.system } },
    scrape_configs: [
      ...job('services', '/metrics', services),
      ...job('sidecars', '/stats/prometheus', services),
      ...(plan.queues.length > 0
        ? [
            ...job('rabbitmq', '/metrics', broker),
            // The only page that tells queues apart: depth and unacknowledged of each.
            ...job('queues', '/metrics/detailed', broker, { params: { family: ['queue_coarse_metrics'] } }),
          ]
        : []),
      ...job('prometheus', '/metrics', [{ targets: [authority(layout.prometheus)] }]),
    ],
  }
}

function authority({ address, port }: Endpoint): string {
  return `${address}:${port}`
}
