import { trace } from '@opentelemetry/api'
import type { FastifyReply } from 'fastify'
import type { ExecutionResult } from 'graphql'
import { type GraphqlApi, graphqlRoutes, rest } from '#graph/api.ts'
import type { ExposedApi, ServiceNode } from '#graph/service.ts'
import type { Closable } from '../app/admin.ts'
import type { App } from '../app/lifecycle.ts'
import { correlationId } from '../context.ts'
import type { ServiceError } from '../errors.ts'
import { eventStreams } from '../http/events.ts'
import { splitRoute } from '../http/route-template.ts'
import {
  answerProblems,
  boundsDefault,
  createServer,
  listen,
  type RestBounds,
  streamMsDefault,
  streamsMax,
} from '../http/server.ts'
import { exchangeOf, observe, within } from '../http/stack.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { durations } from '../telemetry/telemetry.ts'
import { graphqlEngine, type Operation } from './engine.ts'
import { fieldError, type GraphqlErrorJson, GraphqlRefusal } from './errors.ts'
import { type GraphqlLimits, graphqlLimitsDefault, requireListSizes } from './limits.ts'
import { knownOperations } from './operations.ts'
import { type GraphqlParams, readParams, readQueryString } from './params.ts'
import { graphqlSchema, type Resolvers } from './schema.ts'
import { tell } from './stream.ts'
import { beginStream } from './subscription.ts'

/** What answers a GraphQL interface. */
export type GraphqlService<Context extends object> = {
  /** The schema in its own language. Every list of objects says with `@listSize` how many there may be. */
  readonly schema: string
  readonly resolvers: Resolvers<Context>
  /** What the resolvers of one operation share, such as its loaders; made anew for each. */
  readonly context: () => Context
  /** The texts of the operations that clients of ours send. */
  readonly operations: readonly string[]
  /** Default: `graphqlLimitsDefault`. */
  readonly limits?: Partial<GraphqlLimits>
}

/** An answer as GraphQL over HTTP has it; without `data` nothing was run. */
type Answer = { readonly data?: unknown; readonly errors?: readonly GraphqlErrorJson[] }

const query = splitRoute(graphqlRoutes.query).template
const stream = splitRoute(graphqlRoutes.subscribe).template
const hint = `There are ${Object.values(graphqlRoutes).join(' and ')}.`

/**
 * Serves a GraphQL interface that the node exposes where `PARLEY_LISTEN` says, on the stack of `restServer`. What HTTP refuses
 * is a problem document; what GraphQL refuses, and fields that could not be had beside those that could, are `errors` with a stable
 * `extensions.code`. Outside of a local run only listed operations are taken, unless the interface is declared `open`.
 */
export async function graphqlServer<
  S extends ServiceNode,
  A extends GraphqlApi & ExposedApi<S>,
  Context extends object,
>(app: App<S>, api: A, service: GraphqlService<Context>, bounds: RestBounds = boundsDefault): Promise<Closable> {
  const { listen: address, environment } = app.configuration
  if (!address) throw new Error(`${app.node.name} exposes nothing, so it cannot serve GraphQL: declare it in "exposes"`)
  const schema = graphqlSchema(service.schema, service.resolvers)
  requireListSizes(schema)
  const open = api.open || environment === 'local'
  const known = knownOperations(service.operations, open)
  const prepare = graphqlEngine(schema, known, { ...graphqlLimitsDefault, ...service.limits }, open)
  const report = (error: ServiceError) => app.log.error('A field of a GraphQL answer failed.', { error })
  const ask = asker(prepare, report)

  const routes = rest(api.name, graphqlRoutes)
  const server = createServer(routes, bounds)
  const streams = eventStreams(app, streamsMax)
  const streamMs = bounds.streamDeadlineMs ?? streamMsDefault
  observe(server, ({ routeOptions }) => (routeOptions.url === stream ? streamMs : bounds.deadlineMs))
  answerProblems(server, routes, app, hint)
  server.post(query, async (request, reply) => {
    const answer = await within(exchangeOf(request), () =>
      ask(
        'query',
        () => readParams(request.body),
        async (operation) => operation.query(service.context()),
      ),
    )
    return send(reply, answer, String(request.headers.accept ?? '*/*'))
  })
  server.get(stream, async (request, reply) => {
    const exchange = exchangeOf(request)
    const context = service.context()
    const lastEventId = [request.headers['last-event-id']].flat()[0]
    let results: AsyncIterable<ExecutionResult> | undefined
    const answer = await within(exchange, () =>
      ask(
        'subscription',
        () => readQueryString(request.query),
        async (operation) => {
          beginStream(context, lastEventId)
          const opened = await operation.subscribe(context)
          if (!(Symbol.asyncIterator in opened)) return opened
          results = opened
          return {}
        },
      ),
    )
    if (!results) return send(reply, answer, '*/*')
    return streams.send(
      reply,
      tell(results, context, (result) => shown(result, report)),
      exchange,
    )
  })
  return listen(server, address)
}

/** Answers one operation, and records how long it took and how it ended. */
function asker(prepare: (params: GraphqlParams) => Operation, report: (fault: ServiceError) => void) {
  return async (
    kind: 'query' | 'subscription',
    read: () => GraphqlParams,
    run: (operation: Operation) => Promise<ExecutionResult>,
  ): Promise<Answer> => {
    const beganMs = performance.now()
    let [name, outcome] = ['', 'internal']
    try {
      const operation = prepare(read())
      // A name that is in no list may be anything; metrics with all of them would never end.
      name = operation.listed ? operation.name : 'unlisted'
      checkPlace(operation, kind)
      trace.getActiveSpan()?.setAttributes({ [attribute.graphqlOperation]: name, [attribute.graphqlType]: kind })
      const answer = shown(await run(operation), report)
      outcome = answer.errors ? 'partial' : 'answered'
      return answer
    } catch (thrown) {
      if (!(thrown instanceof GraphqlRefusal)) throw thrown
      outcome = thrown.code
      return { errors: thrown.toErrors(correlationId()) }
    } finally {
      const attributes = { [attribute.graphqlOperation]: name, outcome }
      durations(metric.graphqlDuration).record((performance.now() - beganMs) / 1_000, attributes)
    }
  }
}

function checkPlace(operation: Operation, kind: 'query' | 'subscription'): void {
  if ((operation.kind === 'subscription') === (kind === 'subscription')) return
  const next = kind === 'query' ? `Open it with ${graphqlRoutes.subscribe}` : `Send it with ${graphqlRoutes.query}`
  throw new GraphqlRefusal('operation-misplaced', `This is a ${operation.kind}. ${next}.`)
}

/** A result as clients see it. */
function shown({ data, errors }: ExecutionResult, report: (fault: ServiceError) => void): Answer {
  const seen = errors?.map((error) => fieldError(error, correlationId(), report))
  return { ...(data !== undefined && { data }), ...(seen && seen.length > 0 && { errors: seen }) }
}

const modernType = 'application/graphql-response+json'

/** Clients that know of nothing but JSON hear of refusals with status 200, as the specification has it for them. */
function send(reply: FastifyReply, answer: Answer, accept: string): FastifyReply {
  const modern = accept.includes('*/*') || accept.includes('application/*') || accept.includes(modernType)
  const refused = answer.data === undefined
  return reply
    .code(refused && modern ? 400 : 200)
    .type(`${modern ? modernType : 'application/json'}; charset=utf-8`)
    .send(JSON.stringify(answer))
}
