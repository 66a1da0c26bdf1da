import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { command, module } from '#graph/start.ts'
import { system } from '#graph/system.ts'

export const wordsApi = rest('words-api', { greeting: 'GET /greetings/{language}' })
export const helloApi = rest('hello-api', { hello: 'GET /hello/{name}' })

/** Any language will do: this one is Python, without a library of ours. */
export const words = service('words', {
  exposes: [wordsApi],
  start: command('python3', 'examples/hello/words/main.py'),
})

export const hello = service('hello', {
  exposes: [helloApi],
  start: module('examples/hello/hello/main.ts'),
  edges: [calls(wordsApi, ['greeting'], { deadlineMs: 500, retry: { attempts: 2, perTryTimeoutMs: 200 } })],
})

export const helloSystem = system('hello', {
  services: [hello, words],
  exposures: [exposure('hello', hello, helloApi)],
})
