import { withFields } from '#kit/errors.ts'
import type { RestResponse } from '#kit/http/server.ts'
import type { Asker } from '#kit/messaging/asker.ts'
import type { quotes } from '#mesh/shop/messages.ts'
import { QuoteRequestSchema } from '#proto/parley/shipping/v1/quotes_pb.ts'
import { moneySchema } from './schemas.ts'
import { moneyJson } from './view.ts'

/** The parcel that is asked about. */
export const quoteQuery = {
  type: 'object',
  required: ['country', 'weightGrams'],
  additionalProperties: false,
  properties: {
    country: { type: 'string', pattern: '^[A-Z]{2}$', description: 'ISO 3166-1, such as DE.' },
    weightGrams: { type: 'string', pattern: '^[1-9][0-9]{0,4}$', description: 'Up to 31500.' },
  },
} as const

/** What sending it costs. */
export const quoteSchema = {
  type: 'object',
  required: ['country', 'weightGrams', 'price', 'daysMin', 'daysMax'],
  properties: {
    country: { type: 'string' },
    weightGrams: { type: 'integer' },
    price: moneySchema,
    daysMin: { type: 'integer', description: 'Working days from the confirmation of the order.' },
    daysMax: { type: 'integer' },
  },
} as const

type QuoteQuery = Readonly<Record<string, string | readonly string[] | undefined>>

/** Asks shipping over its queue what a parcel costs. */
export async function quoteShipping(query: QuoteQuery, shipping: Asker<typeof quotes>): Promise<RestResponse> {
  const asked = { country: String(query.country), weightGrams: Number(query.weightGrams) }
  const answer = shipping.ask(QuoteRequestSchema, asked).catch(inOurWords)
  const { country, weightGrams, price, daysMin, daysMax } = await answer
  return { status: 200, body: { country, weightGrams, price: moneyJson(price), daysMin, daysMax } }
}

/** Shipping names the fields of its own contract; a client of ours knows only ours. */
function inOurWords(thrown: unknown): never {
  throw withFields(thrown, (field) => `query:${field.replace('weight_grams', 'weightGrams')}`)
}
