import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServiceNode } from '#graph/service.ts'
import { type Log, silentLog } from '../telemetry/log.ts'
import type { Address } from './address.ts'
import type { Closable, ReadinessCheck } from './admin.ts'
import type { Configuration } from './configuration.ts'
import type { App } from './lifecycle.ts'
import type { Operation, OperationRequest } from './operations.ts'

/** An app for tests: no telemetry, no admin endpoint, and closed by the test. */
export type TestApp<S extends ServiceNode> = App<S> & {
  /** Begins to stop and closes the parts in reverse order. */
  stop(): Promise<void>
  /** Asks what was offered to operators. */
  ask(name: string, request?: Partial<OperationRequest>): Promise<object>
}

/** Makes an app of a node. `given` are the parts of the configuration that the test needs. */
export function testApp<const S extends ServiceNode>(
  node: S,
  given: Partial<Configuration> = {},
  log: Log = silentLog,
): TestApp<S> {
  const stopping = new AbortController()
  const parts: Closable[] = []
  const checks = new Map<string, ReadinessCheck>()
  const operations = new Map<string, Operation>()
  return {
    node,
    log,
    configuration: { ...configurationOf(node), ...given },
    stopping: stopping.signal,
    async add(_name, opening) {
      const part = await opening
      parts.unshift(part)
      return part
    },
    readyWhen: (name, check) => void checks.set(name, check),
    operate: (name, operation) => void operations.set(name, operation),
    async ask(name, request = {}) {
      const operation = operations.get(name)
      if (!operation) throw new Error(`nothing is offered as ${name}`)
      return operation({ verb: 'GET', path: [], query: new URLSearchParams(), body: {}, ...request })
    },
    async notReady() {
      const reasons: Record<string, string> = stopping.signal.aborted ? { lifecycle: 'stopping' } : {}
      for (const [name, check] of checks) {
        const reason = await check()
        if (reason !== undefined) reasons[name] = reason
      }
      return reasons
    },
    async stop() {
      stopping.abort()
      for (const part of parts) await part.close()
    },
  }
}

/** A folder of sockets that is removed after the tests. */
export function socketFolder(): { at(name: string): Address & { kind: 'unix' }; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'kit-'))
  return {
    at: (name) => ({ kind: 'unix', path: join(folder, `${name}.sock`) }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function configurationOf(node: ServiceNode): Configuration {
  return {
    system: 'test',
    service: node.name,
    environment: 'local',
    version: '0.0.0',
    listen: null,
    admin: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    calls: {},
    reaches: {},
    kafka: null,
    postgres: null,
    rabbitmq: null,
    webhookReceivers: [],
    logLevel: 'silent',
  }
}
