import type { Settings } from '#providers/cluster.ts'
import type { Files } from '../files.ts'
import { toYaml } from '../yaml.ts'
import { helpers, notes, refusals } from './helpers.ts'
import { figuresOf } from './services.ts'
import { objectTemplate } from './template.ts'
import { type Expressions, toTemplate } from './tokens.ts'
import { valuesSchema, valuesText } from './values.ts'
import { type Plans, variedObjects } from './variants.ts'

/**
 * A Helm chart that renders to the same objects as `render`, for every environment, mesh and settings: the settings are
 * its values. `settings` are the values' defaults, and have the repository of the runbook. Throws where an object depends on a value in a way that the chart
 * cannot say. Files by their path inside of the chart.
 */
export function chartFiles(plans: Plans, settings: Settings, version: string): Files {
  const { system } = plans.production
  const expressions = expressionsOf(plans)
  const templates = new Map<string, string[]>()
  for (const { file, cases, choices } of variedObjects(plans, settings.git)) {
    const texts = templates.get(file) ?? []
    texts.push(toTemplate(objectTemplate(cases, choices), expressions))
    templates.set(file, texts)
  }
  const files: [string, string][] = [
    ['Chart.yaml', chart(system, version)],
    ['services.json', `${JSON.stringify(figuresOf(plans, settings), null, 2)}\n`],
    ['templates/NOTES.txt', notes(plans.production)],
    ['templates/_helpers.tpl', helpers],
    ['templates/refusals.yaml', refusals],
    ['values.schema.json', `${JSON.stringify(valuesSchema(plans.production), null, 2)}\n`],
    ['values.yaml', valuesText(plans.production, settings)],
    ...[...templates].map(([file, texts]): [string, string] => [`templates/${file}.yaml`, `${texts.join('\n')}\n`]),
  ]
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function chart(system: string, version: string): string {
  const fields = {
    apiVersion: 'v2',
    name: system,
    description: `The system ${system}: what bin/parley render writes, for those who install with Helm.`,
    type: 'application',
    version,
    kubeVersion: '>=1.31.0-0',
  }
  return toYaml([fields as never]).replace(/^---\n/, '')
}

/** What tokens stand for. Texts are held to patterns by values.schema.json, so none can leave its quotes. */
function expressionsOf(plans: Plans): Expressions {
  const { services, exposures } = plans.production
  const paths = ['image.repository', 'image.tag', 'image.digest', 'storageClass', 'clusterIssuer']
  const backup = ['destination', 'endpoint', 'secret', 'retention', 'schedule'].map((field) => `backup.${field}`)
  const perService = (helper: string) =>
    services.map(({ name }) => [`${helper}.${name}`, `{{ include "${helper}" (list $ "${name}") }}`])
  return Object.fromEntries([
    ...[...paths, ...backup].map((path) => [path, `{{ .Values.${path} }}`]),
    ...exposures.flatMap(({ name }) => [
      [`hosts.${name}`, `{{ get .Values.hosts "${name}" }}`],
      // Inside of a regular expression, in quotes.
      [`hosts\\\\.${name}`, `{{ get .Values.hosts "${name}" | replace "." "\\\\\\\\." }}`],
    ]),
    ...['http', 'https'].map((port) => [`nodePorts.${port}`, `{{ int .Values.nodePorts.${port} }}`]),
    ['backup.port', '{{ include "backupPort" . }}'],
    ['apiServer.peers', '{{ include "apiServer" . }}'],
    ['apiServer.port', '{{ int .Values.apiServer.port }}'],
    ['imagePullSecrets', '{{ include "imagePullSecrets" . }}'],
    ...perService('replicas'),
    ...perService('replicasMax'),
    ...perService('connections'),
    ['connections', '{{ include "connectionsAll" . }}'],
  ])
}
