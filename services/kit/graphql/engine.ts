import {
  type DocumentNode,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
  type OperationTypeNode,
  parse,
} from 'graphql'
import { createLRUCache, createYoga, type Plugin } from 'graphql-yoga'
import { GraphqlRefusal, type GraphqlRefusalCode, refusalsMax } from './errors.ts'
import { checkShape, costOf, type GraphqlLimits } from './limits.ts'
import type { KnownOperations } from './operations.ts'
import type { GraphqlParams } from './params.ts'

/** An operation that passed every check: nothing was asked for it yet. */
export type Operation = {
  /** As its document calls it; empty where it has no name. */
  readonly name: string
  readonly kind: OperationTypeNode
  /** Whether it is in the list of known operations. */
  readonly listed: boolean
  /** Runs a query to its end. Rejects never for what a resolver throws: that is in `errors`. */
  query(context: object): Promise<ExecutionResult>
  /** Opens a subscription: its results, or what kept it from beginning. */
  subscribe(context: object): Promise<AsyncIterable<ExecutionResult> | ExecutionResult>
}

/** Documents that are kept parsed and validated, so that only the first request pays for it. */
const documentsMax = 500

/**
 * Prepares operations: which are taken, whether they fit the schema, and whether they stay within the limits.
 * @throws GraphqlRefusal from the function
 */
export function graphqlEngine(
  schema: GraphQLSchema,
  known: KnownOperations,
  limits: GraphqlLimits,
  introspection: boolean,
): (params: GraphqlParams) => Operation {
  const cache = {
    documentCache: createLRUCache<DocumentNode>({ max: documentsMax }),
    errorCache: createLRUCache({ max: 1 }),
  }
  // Of Yoga this uses what is about GraphQL; HTTP is the kit's, so that both kinds of interface behave as one.
  const yoga = createYoga({
    schema,
    logging: false,
    maskedErrors: false,
    parserAndValidationCache: cache,
    plugins: [tokenLimit(limits.tokensMax)],
  })
  const shaped = new WeakSet<DocumentNode>()
  return (params) => {
    const { text, listed } = known(params)
    if (text.length > limits.charactersMax)
      throw new GraphqlRefusal('query-too-long', `${limits.charactersMax} characters are possible.`)
    const enveloped = yoga.getEnveloped({ params } as never)
    const document = parsed(() => enveloped.parse(text))
    if (!shaped.has(document)) {
      checkShape(document, limits, introspection)
      shaped.add(document)
    }
    const wrong = enveloped.validate(schema, document) as readonly GraphQLError[]
    if (wrong.length > 0) throw new GraphqlRefusal('query-invalid', 'The document does not fit the schema.', wrong)
    const found = getOperationAST(document, params.operationName)
    if (!found)
      throw new GraphqlRefusal('operation-unknown', 'Say with "operationName" which operation of the document.')
    const given = { ...params.variables }
    // Each error is an object with a stack: a long list of wrong values would hold up everybody else for seconds.
    const variables = getVariableValues(schema, found.variableDefinitions ?? [], given, { maxErrors: refusalsMax })
    if (variables.errors) throw new GraphqlRefusal('variables-invalid', 'The variables do not fit.', variables.errors)
    const cost = refusing('variables-invalid', () => costOf(schema, document, found, variables.coerced ?? {}))
    if (cost > limits.costMax) {
      const next = `It may answer with ${cost} objects; ${limits.costMax} are possible. Ask for smaller pages.`
      throw new GraphqlRefusal('query-too-costly', next)
    }
    const asked = { schema, document, variableValues: params.variables, operationName: params.operationName }
    return {
      name: found.name?.value ?? '',
      kind: found.operation,
      listed,
      query: async (contextValue) => enveloped.execute({ ...asked, contextValue }),
      subscribe: async (contextValue) => enveloped.subscribe({ ...asked, contextValue }),
    }
  }
}

function tokenLimit(maxTokens: number): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn((source, options) => parse(source, { ...options, maxTokens }))
    },
  }
}

/** A variable may be null and its argument not: whether that is so is known only with the argument at hand. */
function refusing<T>(code: GraphqlRefusalCode, run: () => T): T {
  try {
    return run()
  } catch (thrown) {
    throw thrown instanceof GraphQLError ? new GraphqlRefusal(code, thrown.message, [thrown]) : thrown
  }
}

function parsed(parse: () => DocumentNode): DocumentNode {
  try {
    return parse()
  } catch (thrown) {
    const error = thrown as GraphQLError
    const code = /\d+ tokens\. Parsing aborted/.test(error.message) ? 'query-too-long' : 'query-malformed'
    throw new GraphqlRefusal(code, error.message, [error])
  }
}
