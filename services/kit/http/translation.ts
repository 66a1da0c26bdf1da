import { withFields } from '../errors.ts'
import type { ServerEvent } from './events.ts'
import type { JsonSchema, JsonType } from './json-schema.ts'

/** How one route of one version differs from the next newer one. What is left out is the same in both. */
export type Translation = {
  /** The body that this version takes. */
  readonly body?: JsonSchema
  /** The bodies of its answers by status, for the document only. */
  readonly responses?: Readonly<Record<number, JsonSchema>>
  /** A request's body in the newer words. */
  readonly request?: (body: never) => unknown
  /** An answer's body, or the data of an event, in this version's words. */
  readonly answer?: (body: never) => unknown
  /** The field of a violation in this version's words. */
  readonly field?: (field: string) => string
}

/** A translation whose functions agree with its schema, and with what the newer version answers. */
export function translation<const B extends JsonSchema, Answer>(of: {
  readonly body?: B
  readonly responses?: Readonly<Record<number, JsonSchema>>
  readonly request?: (body: JsonType<B>) => unknown
  readonly answer?: (body: Answer) => unknown
  readonly field?: (field: string) => string
}): Translation {
  return of
}

/** What a route is in an older version: the translations from it to the newest, one after the other. */
export type Translated = {
  readonly body: JsonSchema | undefined
  readonly responses: Readonly<Record<number, JsonSchema>>
  request(body: unknown): unknown
  answer(body: unknown): unknown
  events(events: AsyncIterable<ServerEvent>): AsyncIterable<ServerEvent>
  /** An operating error with the names of fields that this version has. */
  error(thrown: unknown): unknown
}

type Newest = Pick<Translation, 'body' | 'responses'>

/** Puts translations, the oldest first, in front of what the newest version takes and gives. */
export function translated(steps: readonly Translation[], newest: Newest): Translated {
  const back = steps.toReversed()
  const answer = (body: unknown) => back.reduce((now, step) => step.answer?.(now as never) ?? now, body)
  const field = (name: string) => back.reduce((now, step) => step.field?.(now) ?? now, name)
  const error = (thrown: unknown) => withFields(thrown, field)
  return {
    body: steps.find((step) => step.body)?.body ?? newest.body,
    responses: Object.assign({}, newest.responses, ...back.map((step) => step.responses)),
    request: (body) => steps.reduce((now, step) => step.request?.(now as never) ?? now, body),
    answer: (body) => (body === undefined ? undefined : answer(body)),
    events: (events) => (steps.length === 0 ? events : translatedEvents(events, answer, error)),
    error,
  }
}

async function* translatedEvents(
  events: AsyncIterable<ServerEvent>,
  answer: (body: unknown) => unknown,
  error: (thrown: unknown) => unknown,
): AsyncIterable<ServerEvent> {
  try {
    for await (const event of events) yield event.data === undefined ? event : { ...event, data: answer(event.data) }
  } catch (thrown) {
    throw error(thrown)
  }
}
