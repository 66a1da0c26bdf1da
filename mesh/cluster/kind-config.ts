import { parse } from 'yaml'

/** A port of this machine that leads into the cluster. */
export type HostPort = { readonly address: string; readonly port: number; readonly nodePort: number }

/** What `kind-config.yaml` asks for, as far as others must know. */
export type KindConfig = {
  readonly name: string
  readonly nodes: number
  readonly ports: readonly HostPort[]
}

type Written = {
  readonly name?: string
  readonly nodes?: readonly {
    readonly extraPortMappings?: readonly {
      readonly containerPort: number
      readonly hostPort: number
      readonly listenAddress?: string
    }[]
  }[]
}

/** Reads the configuration of kind. Pure. */
export function parseKindConfig(text: string): KindConfig {
  const { name = 'kind', nodes = [{}] } = (parse(text) ?? {}) as Written
  const ports = nodes.flatMap(({ extraPortMappings = [] }) =>
    extraPortMappings.map(({ containerPort, hostPort, listenAddress = '0.0.0.0' }) => ({
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
