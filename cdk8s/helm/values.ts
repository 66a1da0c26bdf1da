import { meshes, type Settings } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type Schema, settingsSchema } from '../settings-schema.ts'
import { toYaml } from '../yaml.ts'
import { clusterEnvironments } from './variants.ts'

type ValueSchema =
  | Schema
  | {
      readonly type: 'string'
      readonly description: string
      readonly enum: readonly string[]
      readonly default: string
    }

/** The chart's values are the settings but for `git`, which only GitOps asks, and what else is a file's name elsewhere. */
function valueSchemas(): Readonly<Record<string, ValueSchema>> {
  const { git: _, ...settings } = settingsSchema.properties
  return {
    environment: {
      type: 'string',
      description: 'which of the declared environments the cluster is',
      enum: clusterEnvironments,
      default: 'production',
    },
    mesh: { type: 'string', description: 'the mesh that the cluster has', enum: meshes, default: 'istio' },
    ...settings,
  }
}

/** The chart's `values.schema.json`: JSON Schema, draft 7; an unknown value is an error. */
export const valuesSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  additionalProperties: false,
  required: ['environment', 'mesh', 'image', 'hosts', 'replicas'],
  properties: { ...valueSchemas(), global: { type: 'object', description: 'Helm’s own; not used' } },
} as const

/** The chart's values with their defaults, each under what it may hold. */
export function valuesText(settings: Settings): string {
  const fields = Object.entries(valueSchemas()).map(([name, schema]) => {
    const value = name in settings ? settings[name as keyof Settings] : schema.default
    const text = toYaml([{ [name]: value } as unknown as Manifest]).replace(/^---\n/, '')
    const allowed = 'enum' in schema ? `: ${schema.enum.join(', ')}` : ''
    return `# ${schema.description}${allowed}\n${text}`
  })
  return `${usage}\n${fields.join('\n')}`
}

const usage = `# helm upgrade --install NAME . --namespace default --values YOURS.yaml
#
# The release may live in any namespace that is there already: every object names its own, and the system's namespace with
# its Pod Security is one of them. The operators of charts/operators come first.
`
