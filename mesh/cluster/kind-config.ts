import { problemsOf, readYaml, type Schema, withDefaults } from '#cdk8s/schema.ts'
import { ClusterError } from './failure.ts'

/** A port of this machine that leads into the cluster. */
export type HostPort = { readonly address: string; readonly port: number; readonly nodePort: number }

/** What `kind-config.yaml` asks for, as far as others must know. */
export type KindConfig = {
  readonly name: string
  readonly nodes: number
  readonly ports: readonly HostPort[]
}

type Written = {
  readonly name: string
  readonly nodes: readonly {
    readonly extraPortMappings: readonly {
      readonly containerPort: number
      readonly hostPort: number
      readonly listenAddress: string
    }[]
  }[]
}

const port = { type: 'integer', description: 'a port, 1 to 65535', minimum: 1, maximum: 65_535 } as const
/** The part of kind's own format that is read here. */
const schema: Schema = {
  type: 'object',
  description: 'a configuration of kind',
  properties: {
    name: { type: 'string', description: 'the name of a cluster', default: 'kind' },
    nodes: {
      type: 'array',
      description: 'a list of nodes',
      default: [{}],
      items: {
        type: 'object',
        description: 'a node',
        properties: {
          extraPortMappings: {
            type: 'array',
            description: 'a list of ports',
            default: [],
            items: {
              type: 'object',
              description: 'a port: containerPort, hostPort, listenAddress',
              properties: {
                containerPort: port,
                hostPort: port,
                listenAddress: { type: 'string', description: 'an address of this machine', default: '0.0.0.0' },
              },
              required: ['containerPort', 'hostPort'],
            },
          },
        },
      },
    },
  },
}

/** Reads the configuration of kind. Pure. @throws ClusterError PREFLIGHT with everything in it that cannot be used */
export function parseKindConfig(text: string): KindConfig {
  const value = readYaml(text, (message) => new ClusterError('PREFLIGHT', `kind-config.yaml ${message}`)) ?? {}
  const problems = problemsOf(value, schema)
  if (problems.length > 0) {
    const lines = problems.map((problem) => `  ${problem}`)
    throw new ClusterError('PREFLIGHT', `kind-config.yaml cannot be used:\n${lines.join('\n')}`)
  }
  const { name, nodes } = withDefaults(value, schema) as Written
  const ports = nodes.flatMap(({ extraPortMappings }) =>
    extraPortMappings.map(({ containerPort, hostPort, listenAddress }) => ({
      address: listenAddress,
      port: hostPort,
      nodePort: containerPort,
    })),
  )
  return { name, nodes: nodes.length, ports }
}

/** The port of this machine that leads to a node port; null where none is mapped. */
export function hostPortOf({ ports }: KindConfig, nodePort: number): HostPort | null {
  return ports.find((one) => one.nodePort === nodePort) ?? null
}
