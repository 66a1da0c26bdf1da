import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { type Authority, issue, newAuthority } from '#local/certificates/authority.ts'
import { testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { openDatabase } from './database.ts'
import { type PostgresFixture, startPostgres } from './postgres-fixture.ts'

/** As on a cluster: nothing but a client certificate says who somebody is. */
const access = 'local all postgres trust\nhostssl orders orders all cert\nhostssl all all all reject\n'
const host = '127.93.14.1'
const hourMs = 3_600_000
const orders = service('orders', { owns: [postgres()] })
const whoami = {
  name: 'whoami',
  text: 'select current_user::text as name, ssl from pg_stat_ssl where pid = pg_backend_pid()',
}

const folder = mkdtempSync(join(tmpdir(), 'kit-tls-'))
const file = (name: string) => join(folder, name)
let authority: Authority
let server: PostgresFixture

beforeAll(async () => {
  authority = await newAuthority('test', hourMs)
  const serving = await issue(authority, { name: 'db', spiffe: null, dnsNames: [], addresses: [host] }, hourMs)
  server = await startPostgres({
    access,
    files: { 'server.crt': serving.cert, 'server.key': serving.key, 'root.crt': authority.cert },
    settings: ['ssl=on', 'ssl_ca_file=root.crt', `listen_addresses=${host},localhost`, 'port=5432'],
  })
  server.create('orders')
  server.role('orders')
  writeFileSync(file('ca.crt'), authority.cert)
}, 30_000)

afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('a service shows its certificate, and a new one counts from the next connection on, without a restart', async () => {
  await writeIdentity(authority, 'orders')
  const database = open()
  expect(await database.query(whoami)).toEqual([{ name: 'orders', ssl: true }])

  await writeIdentity(authority, 'payments')
  const session = await database.session()
  try {
    await expect(database.query(whoami)).rejects.toThrow(/cannot be had|certificate authentication failed/)
  } finally {
    session.release()
    await database.close()
  }
})

test("another authority's certificate is refused, and so is a server with another name", async () => {
  await writeIdentity(await newAuthority('other', hourMs), 'orders')
  const stranger = open()
  await expect(stranger.query(whoami)).rejects.toThrow()
  await stranger.close()

  await writeIdentity(authority, 'orders')
  const elsewhere = open({ host: 'localhost' })
  await expect(elsewhere.query(whoami)).rejects.toMatchObject({
    cause: expect.objectContaining({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }),
  })
  await elsewhere.close()
})

function open(change: Partial<PostgresConfiguration> = {}) {
  const tls = { authorityFile: file('ca.crt'), certFile: file('tls.crt'), keyFile: file('tls.key') }
  const at = { host, port: 5432, database: 'orders', user: 'orders', passwordFile: null, tls, ...change }
  return openDatabase(testApp(orders, { postgres: at }))
}

async function writeIdentity(signer: Authority, name: string): Promise<void> {
  const { cert, key } = await issue(signer, { name, spiffe: null, dnsNames: [], addresses: [] }, hourMs)
  writeFileSync(file('tls.crt'), cert)
  writeFileSync(file('tls.key'), key)
}
