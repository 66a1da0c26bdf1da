import type { Closable } from '#kit/app/admin.ts'
import type { App } from '#kit/app/lifecycle.ts'
import { graphqlServer } from '#kit/graphql/server.ts'
import { storefrontApi } from '#mesh/shop/interfaces.ts'
import { type storefront, storefrontExposure } from '#mesh/shop.ts'
import { operations } from './operations.ts'
import { resolvers } from './resolvers.ts'
import { schema } from './schema.ts'
import { openContext, type Sources } from './sources.ts'

/** Serves the storefront's interface from its sources. */
export function storefrontServer(app: App<typeof storefront>, sources: Sources): Promise<Closable> {
  const context = () => openContext(sources)
  return graphqlServer(app, storefrontApi, { schema, resolvers, context, operations }, storefrontExposure)
}
