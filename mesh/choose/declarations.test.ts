import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { checkSystem } from '#checks/check.ts'
import type { SystemNode } from '#graph/system.ts'
import declarations from './declarations.json' with { type: 'json' }
import { patterns } from './patterns.ts'
import { example as choreographedSaga } from './testdata/declarations/choreographed-saga.ts'
import { example as eventSourcing } from './testdata/declarations/event-sourcing.ts'
import { example as eventStreaming } from './testdata/declarations/event-streaming.ts'
import { example as graphql } from './testdata/declarations/graphql.ts'
import { example as grpc } from './testdata/declarations/grpc.ts'
import { example as grpcStreaming } from './testdata/declarations/grpc-streaming.ts'
import { example as internalRest } from './testdata/declarations/internal-rest.ts'
import { example as messageQueue } from './testdata/declarations/message-queue.ts'
import { example as modularMonolith } from './testdata/declarations/modular-monolith.ts'
import { example as orchestratedSaga } from './testdata/declarations/orchestrated-saga.ts'
import { example as publishSubscribe } from './testdata/declarations/publish-subscribe.ts'
import { example as requestReply } from './testdata/declarations/request-reply.ts'
import { example as rest } from './testdata/declarations/rest.ts'
import { example as webhooks } from './testdata/declarations/webhooks.ts'
import type { PatternId } from './tree.ts'

const folder = new URL('./testdata/declarations/', import.meta.url)
const page = new URL('./declarations.json', import.meta.url)
const examples: Readonly<Record<PatternId, SystemNode>> = {
  'choreographed-saga': choreographedSaga,
  'event-sourcing': eventSourcing,
  'event-streaming': eventStreaming,
  graphql,
  grpc,
  'grpc-streaming': grpcStreaming,
  'internal-rest': internalRest,
  'message-queue': messageQueue,
  'modular-monolith': modularMonolith,
  'orchestrated-saga': orchestratedSaga,
  'publish-subscribe': publishSubscribe,
  'request-reply': requestReply,
  rest,
  webhooks,
}
const ids = Object.keys(patterns).sort()

/** The compiler reads the files, and people get their text. `UPDATE_GOLDEN=1` writes the text anew. */
test('the text of every declaration is its file', () => {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(page, rendered())
  expect(readFileSync(page, 'utf8')).toBe(rendered())
  expect(readdirSync(folder).sort()).toEqual(ids.map((id) => `${id}.ts`).sort())
  expect(Object.keys(declarations).sort()).toEqual(ids)
})

test.each(Object.entries(examples))('%s declares a system without a finding', (_, example) => {
  expect(checkSystem(example).findings).toEqual([])
})

function fileText(id: string): string {
  return readFileSync(new URL(`${id}.ts`, folder), 'utf8')
}

/** A line a line, so that a change is read in review. */
function rendered(): string {
  const texts = Object.fromEntries(ids.map((id) => [id, fileText(id).trimEnd().split('\n')]))
  return `${JSON.stringify(texts, null, 2)}\n`
}
