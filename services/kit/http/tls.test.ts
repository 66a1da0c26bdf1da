import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { external, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { issue, newAuthority } from '#local/certificates/authority.ts'
import { testApp } from '../app/app-fixture.ts'
import { reach } from './client.ts'

const bank = external('bank', {
  host: 'bank.example',
  port: 443,
  expectedLatencyMs: 300,
  routes: { show: 'GET /charges/{id}' },
})
const payments = service('payments', { edges: [reaches(bank)] })
const trusted = getCACertificates('default')
let server: ReturnType<typeof createServer>

beforeAll(async () => {
  const authority = await newAuthority('test', 3_600_000)
  const subject = { name: 'bank', spiffe: null, dnsNames: ['bank.example'], addresses: [] }
  const { cert, key } = await issue(authority, subject, 3_600_000)
  server = createServer({ cert, key }, (request, response) => response.end(JSON.stringify(request.headers.host)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  setDefaultCACertificates([...trusted, authority.cert])
})

afterAll(() => {
  setDefaultCACertificates(trusted)
  server.close()
  server.closeAllConnections()
})

test('where no sidecar opens TLS the service does, to the declared host and to no other', async () => {
  const address = { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port } as const
  const app = testApp(payments, { reaches: { bank: { address, tls: true } } })
  expect(await reach(app, bank).show({ params: { id: '1' } })).toMatchObject({ status: 200, body: 'bank.example' })

  const impostor = { ...bank, host: 'other.example' }
  const astray = reach(app, impostor).show({ params: { id: '1' } })
  await expect(astray).rejects.toMatchObject({ code: 'unavailable', cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' } })
})
