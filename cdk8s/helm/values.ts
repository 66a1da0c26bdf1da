import type { Plan } from '#plan/plan.ts'
import { meshes, type Settings } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { Schema } from '../schema.ts'
import { namesSchemaOf, settingsSchema } from '../settings-schema.ts'
import { toYaml } from '../yaml.ts'
import { clusterEnvironments } from './variants.ts'

/** The chart's values are the settings but for `git`, which only GitOps asks, and what else is a file's name elsewhere. */
function valueSchemas(plan: Plan): Readonly<Record<string, Schema>> {
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
    ...namesSchemaOf(plan).properties,
  }
}

/** The chart's `values.schema.json`: JSON Schema, draft 7; an unknown value is an error. */
export function valuesSchema(plan: Plan): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    additionalProperties: false,
    required: ['environment', 'mesh', 'image', 'hosts', 'replicas'],
    properties: { ...valueSchemas(plan), global: { type: 'object', description: 'Helm’s own; not used' } },
  }
}

/** The chart's values with their defaults, each under what it may hold. */
export function valuesText(plan: Plan, settings: Settings): string {
  const fields = Object.entries(valueSchemas(plan)).map(([name, schema]) => {
    const value = name in settings ? settings[name as keyof Settings] : schema.default
    const text = toYaml([{ [name]: value } as unknown as Manifest]).replace(/^---\n/, '')
    const allowed = schema.enum ? `: ${schema.enum.join(', ')}` : ''
    return `# ${schema.description}${allowed}\n${text}`
  })
  return `${usage}\n${fields.join('\n')}`
}

const usage = `# helm upgrade --install NAME . --namespace default --values YOURS.yaml
#
# The release may live in any namespace that is there already: every object names its own, and the system's namespace with
# its Pod Security is one of them. The operators of charts/operators come first.
`
