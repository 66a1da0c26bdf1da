/**
 * A Kubernetes object as plain data, ready to be written as YAML. Its own fields stand beside these (`spec`, `data`,
 * `rules`). Values are JSON: an undefined one counts as absent.
 */
export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
  readonly [field: string]: unknown
}

/** Who an object is. `namespace` is absent for what belongs to the cluster. */
export type Metadata = {
  readonly name: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** What a plan asks for and a provider cannot do: `where` in the declaration, `what`, and the `reason`. Printed wherever it is rendered. */
export type NotSupported = { readonly where: string; readonly what: string; readonly reason: string }
