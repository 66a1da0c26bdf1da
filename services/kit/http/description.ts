import type { RestApi } from '#graph/api.ts'
import { unversionedPath, versionedPath } from '#graph/version.ts'
import { splitRoute } from './route-template.ts'
import { type ServedRoute, versionMediaType, versionsWith } from './versions.ts'

type Json = { readonly [key: string]: unknown }
type Document = { readonly openapiObject?: unknown; readonly swaggerObject?: unknown }

/** What the document says of one served route: the newest version has the name of the declaration, others theirs after it. */
export function operationOf(api: RestApi, { name, version }: ServedRoute): Json {
  if (version === null) return { operationId: name }
  const newest = versionsWith(api, name).at(-1)
  return {
    operationId: version === newest ? name : `${name}${version.toUpperCase()}`,
    ...(api.versions?.[version]?.deprecated !== undefined && { deprecated: true }),
  }
}

/** Adds the paths without a version to a document: what each version takes and gives, by its media type. */
export function describeUnversioned(document: Document, api: RestApi): never {
  const whole = document.openapiObject as Json & { paths?: Record<string, Record<string, Json>> }
  const paths: Record<string, Record<string, Json>> = { ...whole.paths }
  for (const [name, declared] of Object.entries(api.routes)) {
    const { verb, template } = splitRoute(declared)
    const bare = api.versions ? unversionedPath(template) : null
    if (bare === null) continue
    const verbKey = verb.toLowerCase()
    const operations = versionsWith(api, name).flatMap((version) => {
      const operation = paths[versionedPath(template, version)]?.[verbKey]
      return operation ? [{ version, operation }] : []
    })
    paths[bare] = { ...paths[bare], [verbKey]: together(api, name, operations) }
  }
  // The plugin's type is a union of two kinds of document, of which ours is one.
  return { ...whole, paths } as never
}

type Versioned = readonly { readonly version: string; readonly operation: Json }[]

function together(api: RestApi, name: string, operations: Versioned): Json {
  const newest = operations.at(-1)?.operation ?? {}
  const versions = operations.map(({ version }) => version)
  const statuses = [...new Set(operations.flatMap(({ operation }) => Object.keys((operation.responses ?? {}) as Json)))]
  const bodies = contents(api, operations, (operation) => operation.requestBody)
  const says = { type: 'string', enum: versions }
  return {
    ...newest,
    operationId: `${name}Unversioned`,
    description:
      'In the version that the media type, the header `accept-version` or the query says; by default the oldest still served.',
    parameters: [
      ...((newest.parameters ?? []) as readonly Json[]),
      { in: 'header', name: 'accept-version', schema: says },
      { in: 'query', name: 'version', schema: says },
    ],
    ...(Object.keys(bodies).length > 0 && { requestBody: { required: true, content: bodies } }),
    responses: Object.fromEntries(
      statuses.map((status) => {
        const of = (operation: Json) => ((operation.responses ?? {}) as Json)[status]
        const [first] = operations.flatMap(({ operation }) => (of(operation) ? [of(operation) as Json] : []))
        const content = contents(api, operations, of)
        return [status, { ...first, ...(Object.keys(content).length > 0 && { content }) }]
      }),
    ),
  }
}

function contents(api: RestApi, operations: Versioned, of: (operation: Json) => unknown): Json {
  return Object.fromEntries(
    operations.flatMap(({ version, operation }) => {
      const content = (of(operation) as { content?: Json } | undefined)?.content?.['application/json']
      return content ? [[versionMediaType(api, version), content]] : []
    }),
  )
}
