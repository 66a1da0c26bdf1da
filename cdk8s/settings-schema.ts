/**
 * What the settings of an environment may hold, as JSON Schema (draft 7): the settings files and the values of the Helm
 * chart are held against the same words.
 */
import type { Plan } from '#plan/plan.ts'
import type { Schema } from './schema.ts'

const label = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
const host = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$'
const url = '^(https|ssh)://[A-Za-z0-9][A-Za-z0-9._~:/@%+-]*$'

const object = (description: string, properties: Readonly<Record<string, Schema>>, required: readonly string[] = []) =>
  ({ type: 'object', description, properties, required, additionalProperties: false }) as const

const text = (description: string, pattern: string) =>
  ({ type: 'string', description, pattern, maxLength: 253 }) as const

const nodePort = {
  type: 'integer',
  description: 'a node port, 30000 to 32767',
  minimum: 30_000,
  maximum: 32_767,
} as const

const image = object(
  'the one image of all services: repository, tag, digest',
  {
    repository: text(
      'an image name without tag or digest, such as registry.example/parley/services',
      '^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$',
    ),
    tag: text(
      'a tag of at most 63 letters, digits, `.`, `_` and `-`, which is a label too: first and last a letter or a digit',
      '^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$',
    ),
    digest: {
      type: ['string', 'null'],
      description: 'sha256: and 64 hex digits, or null',
      pattern: '^sha256:[a-f0-9]{64}$',
      default: null,
    },
  },
  ['repository', 'tag'],
)

const backup: Schema = {
  ...object(
    'where Postgres is backed up to: destination, endpoint, secret, retention, schedule; or null for nowhere',
    {
      destination: text('an address of an object store: s3://bucket/folder', '^s3://[a-z0-9][a-z0-9./_-]*$'),
      endpoint: {
        type: ['string', 'null'],
        description: 'the address of the object store, https://…, or null for the cloud’s own',
        pattern: '^https://[A-Za-z0-9][A-Za-z0-9.-]*(:[1-9][0-9]{0,4})?(/[A-Za-z0-9./_-]*)?$',
        default: null,
      },
      secret: text('the name of a Secret with ACCESS_KEY_ID and ACCESS_SECRET_KEY', label),
      retention: text('a number of days, weeks or months: 30d, 4w, 6m', '^[1-9][0-9]*[dwm]$'),
      schedule: text('six fields of cron, seconds first: 0 0 2 * * *', '^[0-9*/,-]+( [0-9A-Za-z*/,?-]+){5}$'),
    },
    ['destination', 'secret', 'retention', 'schedule'],
  ),
  type: ['object', 'null'],
  default: null,
}

const apiServer: Schema = {
  ...object(
    'where pods reach the Kubernetes API: cidrs, port; or null for any address',
    {
      cidrs: {
        type: 'array',
        description: 'ranges of addresses, such as 10.0.0.1/32',
        items: text('a range of addresses, such as 10.0.0.1/32', '^[0-9a-fA-F.:]+/[0-9]{1,3}$'),
        uniqueItems: true,
      },
      port: { type: 'integer', description: 'a port, 1 to 65535', minimum: 1, maximum: 65_535 },
    },
    ['cidrs', 'port'],
  ),
  type: ['object', 'null'],
  default: null,
}

const hosts = (known?: readonly string[]): Schema => ({
  type: 'object',
  description: 'host names by exposure',
  propertyNames: { description: 'name of an exposure', pattern: label, ...(known && { enum: known }) },
  additionalProperties: text('a host name: labels of a-z, 0-9 and -, joined by dots', host),
  default: {},
})

const replicas = (known?: readonly string[]): Schema => ({
  type: 'object',
  description: 'replicas by service',
  propertyNames: { description: 'name of a service', pattern: label, ...(known && { enum: known }) },
  additionalProperties: { type: 'integer', description: 'a number of replicas, 1 to 1000', minimum: 1, maximum: 1000 },
  default: {},
})

/** What each field of `Settings` may hold. */
export const settingsSchema = object(
  'the settings of an environment',
  {
    image,
    imagePullSecrets: {
      type: 'array',
      description: 'names of Secrets with which images are pulled',
      items: text('the name of a Secret', label),
      uniqueItems: true,
      default: [],
    },
    hosts: hosts(),
    replicas: replicas(),
    storageClass: { ...text('the name of a StorageClass, or null', host), type: ['string', 'null'], default: null },
    clusterIssuer: { ...text('the name of a ClusterIssuer, or null', host), type: ['string', 'null'], default: null },
    nodePorts: {
      ...object('the node ports of the edge: http, https; or null', { http: nodePort, https: nodePort }, [
        'http',
        'https',
      ]),
      type: ['object', 'null'],
      default: null,
    },
    keda: { type: 'boolean', description: 'true or false', default: false },
    backup,
    apiServer,
    git: object(
      'the repository that GitOps controllers watch: url, revision',
      {
        url: text('an address of a Git repository, https://… or ssh://…', url),
        revision: text('a branch, a commit (40 hex digits), or refs/tags/<tag>', '^[A-Za-z0-9][A-Za-z0-9._/-]*$'),
      },
      ['url', 'revision'],
    ),
  },
  ['image', 'git'],
) satisfies Schema

/** What the settings of one system may name: `hosts` its exposures, `replicas` its services. */
export function namesSchemaOf({ services, exposures }: Pick<Plan, 'services' | 'exposures'>) {
  const namesOf = (nodes: readonly { readonly name: string }[]) => nodes.map(({ name }) => name).sort()
  return {
    type: 'object',
    description: 'the settings of an environment',
    properties: { hosts: hosts(namesOf(exposures)), replicas: replicas(namesOf(services)) },
  } as const satisfies Schema
}
