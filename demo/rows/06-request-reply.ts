import { must, type Row } from '../row.ts'

type Quote = { readonly country: string; readonly price: { readonly amount: string } }

/** A question through a queue whose answer finds the one who asked. */
export const requestReplyRow: Row = {
  number: 6,
  name: 'request-reply',
  pattern: 'Request–reply over a queue: shipping quotes',
  services: ['gateway', 'shipping'],
  async walk({ request, show }) {
    const quote = await request<Quote>('GET', '/api/v2/quotes?country=DE&weightGrams=1500')
    must(quote.status === 200 && Number(quote.body.price.amount) > 0, `There is no quote: ${quote.status}`)
    // Many at once: each answer has to find its own question.
    const countries = ['DE', 'FR', 'AT', 'NL', 'DE', 'FR', 'AT', 'NL']
    const ask = (country: string) =>
      request<Quote>('GET', `/api/v2/quotes?country=${country}&weightGrams=900`, { shown: false })
    const answers = await show(
      `${countries.length} at once: GET /api/v2/quotes?country=${countries.join('|')}&weightGrams=900`,
      () => Promise.all(countries.map(ask)),
      (quotes) => quotes.map(({ body }) => `${body.country} ${body.price?.amount}`).join(', '),
    )
    const crossed = answers.filter(({ body }, index) => body.country !== countries[index])
    must(crossed.length === 0, `${crossed.length} answers went to the wrong question`)
    const refused = await request('GET', '/api/v2/quotes?country=XX&weightGrams=1')
    must(refused.status === 404, `A country that nobody delivers to is answered by 404, not ${refused.status}`)
  },
  inspect(spans) {
    const at = (service: string, wanted: string) =>
      spans.filter(
        ({ localEndpoint, tags }) =>
          localEndpoint?.serviceName === service && tags?.['messaging.destination.name'] === wanted,
      ).length
    const [asked, answered, replies] = [
      at('gateway', 'quotes'),
      at('shipping', 'quotes'),
      at('shipping', 'quotes.reply'),
    ]
    must(asked === 10 && answered === 10, `${asked} questions are in the trace and ${answered} were worked, not ten`)
    return `gateway put ${asked} questions into the queue quotes, shipping worked ${answered} and sent ${replies} quotes to quotes.reply`
  },
}
