import { GraphQLError, GraphQLScalarType, type GraphQLSchema } from 'graphql'
import { createSchema } from 'graphql-yoga'
import { listSizeDirective } from './limits.ts'

/** How a field is had. Without a resolver it is the property of its name. */
type Resolve<Context> = {
  // The schema says what parent and arguments are; it is checked when the process starts that each resolver has its field.
  bivarianceHack(parent: unknown, args: unknown, context: Context): unknown
}['bivarianceHack']

/** Resolvers by type and field. */
export type Resolvers<Context> = Readonly<
  Record<string, Readonly<Record<string, Resolve<Context> | { readonly subscribe: Resolve<Context> }>>>
>

/** Whole numbers beyond the 32 bits of `Int`, such as amounts in minor units. */
const wholeNumber = new GraphQLScalarType({
  name: 'WholeNumber',
  description: 'A whole number that JavaScript can hold, up to 2⁵³ − 1.',
  serialize(value) {
    const number = typeof value === 'bigint' ? Number(value) : value
    if (!Number.isSafeInteger(number)) throw new GraphQLError(`${value} is no whole number that can be told exactly.`)
    return number
  },
})

/** Makes a schema of its text and resolvers, with `@listSize` and the scalar `WholeNumber`. Throws where they do not fit. */
export function graphqlSchema<Context>(text: string, resolvers: Resolvers<Context>): GraphQLSchema {
  return createSchema({
    typeDefs: [listSizeDirective, 'scalar WholeNumber', text],
    resolvers: { WholeNumber: wholeNumber, ...resolvers } as never,
    resolverValidationOptions: { requireResolversToMatchSchema: 'error' },
  })
}
