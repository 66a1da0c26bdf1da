/** A piece of Envoy's configuration, as JSON has it. Envoy itself proves its shape: `envoy --mode validate`. */
export type Config = { readonly [key: string]: unknown }

const typePrefix = 'type.googleapis.com/envoy'

/** An extension's configuration with the type that it needs, such as `extensions.filters.http.rbac.v3.RBAC`. */
export function typed(type: string, config: Config = {}): Config {
  return { '@type': `${typePrefix}.${type}`, ...config }
}

/** A named extension: a filter, a transport socket, a matcher. */
export function extension(name: string, type: string, config: Config = {}): Config {
  return { name, typed_config: typed(type, config) }
}

/** A duration as protobuf's JSON writes it: 300 → `0.3s`. */
export function duration(ms: number): string {
  return `${ms / 1_000}s`
}

/** An address: a Unix socket that its owner alone may open, or a TCP port. */
export function address(at: string | { readonly address: string; readonly port: number }): Config {
  if (typeof at === 'string') return { pipe: { path: at } }
  return { socket_address: { address: at.address, port_value: at.port } }
}

/** A Unix socket on which Envoy listens: mode 0600, so that only the service's own user may call in its name. */
export function listenSocket(path: string): Config {
  return { pipe: { path, mode: 0o600 } }
}

/** A file of resources that Envoy reads again whenever something is moved into its folder. */
export function watchedFile(dir: string, file: string): Config {
  return {
    resource_api_version: 'V3',
    path_config_source: { path: `${dir}/${file}`, watched_directory: { path: dir } },
  }
}
