/** Says hello in the words that another service finds. */

import { run } from '#kit/app/lifecycle.ts'
import { invalidArgument } from '#kit/errors.ts'
import { restClient } from '#kit/http/client.ts'
import { restServer } from '#kit/http/server.ts'
import { hello, helloApi, wordsApi } from '../system.ts'

await run(hello, async (app) => {
  const words = restClient(app, wordsApi)
  const rest = restServer(app, helloApi, {
    hello: {
      summary: 'Greets somebody, in the language of `?language=`.',
      handler: async ({ params, query }) => {
        const language = String(query.language ?? 'en')
        const { status, body } = await words.greeting({ params: { language } })
        if (status === 404) throw invalidArgument(`Nobody here speaks ${language.slice(0, 20)}`)
        return { status: 200, body: { message: `${(body as { greeting: string }).greeting}, ${params.name}!` } }
      },
    },
  })
  await app.add('rest', rest)
})
