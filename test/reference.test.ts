import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { status as grpcStatus } from '@grpc/grpc-js'
import { expect, test } from '@jest/globals'
import { type ErrorCode, errorCodes, ServiceError } from '#kit/errors.ts'
import { graphqlRefusals } from '#kit/graphql/errors.ts'
import { grpcStatusOf } from '#kit/grpc/errors.ts'
import { httpProblems, problemOf } from '#kit/http/problem.ts'
import { rootDir } from './sources.ts'

const file = join(rootDir, 'docs/reference/errors.md')

test('the page of error codes is what the kit does today (otherwise: UPDATE_GOLDEN=1)', () => {
  const rows = (Object.keys(errorCodes) as ErrorCode[]).map((code) => {
    const { meaning, transient } = errorCodes[code]
    const error = new ServiceError(code, 'message')
    const { status } = problemOf(error, { instance: '/', correlationId: 'c' })
    return `| \`${code}\` | ${status} | ${grpcStatus[grpcStatusOf[code]]} | ${transient ? 'yes' : 'no'} | ${meaning} |`
  })
  const page = [
    '# Error codes',
    '',
    'A service fails with one of these codes, whoever called it. Over HTTP it is the `code` of a problem document (RFC 9457), whose',
    '`errors` name each field at fault; over gRPC it travels beside the status. Codes never change their meaning.',
    '',
    '| code | HTTP | gRPC | may succeed later | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    'What HTTP itself refuses has a code, too:',
    '',
    '| code | HTTP | title |',
    '|---|---|---|',
    ...Object.entries(httpProblems).map(([code, { status, title }]) => `| \`${code}\` | ${status} | ${title} |`),
    '',
    'In a GraphQL answer the code is `extensions.code` of an error. These say that the operation was not run, with status 400:',
    '',
    '| code | meaning |',
    '|---|---|',
    ...Object.entries(graphqlRefusals).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`),
    '',
  ].join('\n')
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, page)
  expect(readFileSync(file, 'utf8')).toBe(page)
})
