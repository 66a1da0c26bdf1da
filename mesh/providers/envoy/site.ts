/** An address and a port. */
export type Endpoint = { readonly address: string; readonly port: number }

/** Where one sidecar listens, whom it finds where, and its files: all that the plan does not know. Paths are absolute. */
export type EnvoySite = {
  /** The folder of the configuration; the routes are read from it again when moved into place. */
  readonly dir: string
  /** For other sidecars: mutual TLS. */
  readonly inbound: Endpoint
  /** For Prometheus: the application's `/metrics` and Envoy's own `/stats/prometheus`, and nothing else. */
  readonly metrics: Endpoint
  /** For people outside; null where the service is not exposed. */
  readonly edge: Endpoint | null
  /** The application's interface, a Unix socket. */
  readonly appSocket: string
  /** The application's own metrics, a Unix socket. */
  readonly appAdminSocket: string
  /** For the application's calls to services and to HTTP externals, told apart by authority. */
  readonly outboundSocket: string
  /** For the application's connections to TCP externals, by the external's name. */
  readonly egressSockets: Readonly<Record<string, string>>
  /** Envoy's administration, a Unix socket. */
  readonly adminSocket: string
  /** Holds this service's `secretFiles`; a rotation moves something into it when it is complete. */
  readonly certificatesDir: string
  /** The inbound endpoint of each service, by name. */
  readonly services: Readonly<Record<string, Endpoint>>
  /** Where each external really is: its stand-in, or the system itself, whose address may be a DNS name. */
  readonly externals: Readonly<Record<string, Endpoint & { readonly tls: boolean }>>
  /** The authorities that externals with TLS are held against, a PEM file. */
  readonly publicAuthorities: string
}
