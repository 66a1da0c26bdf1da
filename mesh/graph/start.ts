/** How a process of the system starts. Paths are relative to the folder of the nearest `package.json` above the system's file. */
export type Start =
  | { readonly kind: 'module'; readonly file: string }
  | { readonly kind: 'command'; readonly argv: readonly string[] }
  | { readonly kind: 'image'; readonly image: string; readonly argv: readonly string[] }

/** A TypeScript module run by the project's own Node. The default of a service is `services/<name>/main.ts`. */
export function module(file: string): Start {
  return { kind: 'module', file }
}

/** Any command, in any language. The contract is environment variables and standard protocols (see the README). */
export function command(...argv: readonly string[]): Start {
  return { kind: 'command', argv }
}

/** A container image, for clusters only: the local run refuses it with a clear message. */
export function image(image: string, ...argv: readonly string[]): Start {
  return { kind: 'image', image, argv }
}
