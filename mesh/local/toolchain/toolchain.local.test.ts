import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, jest, test } from '@jest/globals'
import { type Run, thisMachine } from './machine.ts'
import { ensureToolchain, type Tools } from './toolchain.ts'
import { toolNames } from './tools.ts'

const execute = promisify(execFile)
const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../../.parley/tools')
const options = { toolsDir, needs: toolNames, report: () => {} }
const fetchTimeoutMs = 15 * 60_000

let tools: Tools

beforeAll(async () => {
  tools = await ensureToolchain(options)
}, fetchTimeoutMs)

test('a second call starts no process and reports nothing', async () => {
  const run = jest.fn<Run>()
  const report = jest.fn()
  const again = await ensureToolchain({ ...options, report }, { ...thisMachine(), run })
  expect(run).not.toHaveBeenCalled()
  expect(report).not.toHaveBeenCalled()
  expect({ ...again }).toEqual({ ...tools })
})

test.each<[string, (tools: Tools) => [string, ...string[]], RegExp]>([
  ['node', ({ node }) => [node, '--version'], /^v24\./],
  ['java', ({ java }) => [java, '--version'], /^openjdk (1[7-9]|[2-9]\d)/],
  ['kafka', ({ java, kafkaClasspath }) => [java, '-cp', kafkaClasspath, 'kafka.Kafka', '--version'], /^4\.3\.1/],
  ['envoy', ({ envoy }) => [envoy, '--version'], /\/1\.40\.0\//],
  ['postgres', ({ postgresBin }) => [join(postgresBin, 'postgres'), '--version'], /^postgres \(PostgreSQL\) /],
  ['prometheus', ({ prometheus }) => [prometheus, '--version'], /^prometheus, version /],
])(
  '%s runs from the path that is given',
  async (_, argv, expected) => {
    const [program, ...args] = argv(tools)
    const { stdout } = await execute(program, args)
    expect(stdout.trim()).toMatch(expected)
  },
  30_000,
)
