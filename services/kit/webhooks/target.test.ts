import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { issue, newAuthority } from '#local/certificates/authority.ts'
import { type Attempt, attempt } from './attempt.ts'
import { subscribe, type WebhookDatabase } from './endpoints.ts'
import {
  addressesOf,
  isPublic,
  readTarget,
  resolveName,
  type TargetPolicy,
  TargetRefused,
  targetPolicy,
} from './target.ts'

const never = new AbortController().signal

describe('addresses', () => {
  test.each([
    ['unspecified', '0.0.0.0'],
    ['this network', '0.1.2.3'],
    ['loopback', '127.0.0.1'],
    ['loopback, all of it', '127.77.22.9'],
    ['private 10', '10.1.2.3'],
    ['what a cloud tells its machines', '168.63.129.16'],
    ['the same, as an address of version 6', '::ffff:168.63.129.16'],
    ['private 172', '172.31.255.255'],
    ['private 192', '192.168.0.1'],
    ['carrier grade NAT', '100.64.0.1'],
    ['link local', '169.254.0.1'],
    ['metadata', '169.254.169.254'],
    ['protocol assignments', '192.0.0.8'],
    ['benchmarking', '198.18.0.1'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['v6 unspecified', '::'],
    ['v6 loopback', '::1'],
    ['v4 in v6', '::ffff:10.0.0.1'],
    ['v4 in v6, in hexadecimal', '::ffff:7f00:1'],
    ['v4 compatible', '::7f00:1'],
    ['v4 translated', '::ffff:0:10.0.0.1'],
    ['NAT64', '64:ff9b::10.0.0.1'],
    ['NAT64 of one site', '64:ff9b:1::a00:1'],
    ['6to4', '2002:7f00:1::'],
    ['Teredo', '2001:0:7f00:1::'],
    ['unique local', 'fd00:ec2::254'],
    ['v6 link local', 'fe80::1'],
    ['v6 link local with a zone', 'fe80::1%eth0'],
    ['site local', 'fec0::1'],
    ['v6 multicast', 'ff02::1'],
    ['documentation', '2001:db8::1'],
    ['never given out', '4000::1'],
    ['no address', 'orders'],
    ['nothing', ''],
  ])('%s is inside: %s', (_name, address) => {
    expect(isPublic(address)).toBe(false)
  })

  test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700:4700::1111'])('%s is outside', (address) => {
    expect(isPublic(address)).toBe(true)
  })
})

const names: Record<string, readonly string[]> = {
  'shop.example': ['93.184.216.34', '2606:2800:220:1::1'],
  'inside.example': ['10.0.0.1'],
  'mixed.example': ['93.184.216.34', '127.0.0.1'],
  'mapped.example': ['::ffff:169.254.169.254'],
  'nowhere.example': [],
}
const policy: TargetPolicy = { ...targetPolicy(), resolve: async (host) => names[host] ?? [] }

async function refusal(text: string, by = policy): Promise<string> {
  try {
    await addressesOf(by, readTarget(by, text), never)
    return 'allowed'
  } catch (thrown) {
    if (thrown instanceof TargetRefused) return thrown.code
    throw thrown
  }
}

describe('URLs', () => {
  test.each([
    ['https://shop.example/hooks?a=b', 'allowed'],
    ['https://shop.example:443/', 'allowed'],
    ['https://93.184.216.34/', 'allowed'],
    ['https://[2606:4700:4700::1111]/', 'allowed'],
    ['http://shop.example/', 'scheme'],
    ['ftp://shop.example/', 'scheme'],
    ['file:///etc/passwd', 'scheme'],
    ['unix:/run/app.sock', 'scheme'],
    ['https://user@shop.example/', 'credentials'],
    ['https://user:secret@shop.example/', 'credentials'],
    ['https://shop.example:8443/', 'port'],
    ['https://shop.example:22/', 'port'],
    ['shop.example', 'malformed'],
    ['', 'malformed'],
    [`https://shop.example/${'x'.repeat(2_048)}`, 'malformed'],
    ['https://inside.example/', 'inside'],
    ['https://mixed.example/', 'inside'],
    ['https://mapped.example/', 'inside'],
    ['https://nowhere.example/', 'inside'],
    ['https://127.0.0.1/', 'inside'],
    ['https://2130706433/', 'inside'],
    ['https://0x7f.1/', 'inside'],
    ['https://0177.0.0.1/', 'inside'],
    ['https://127.1/', 'inside'],
    ['https://[::1]/', 'inside'],
    ['https://[::ffff:127.0.0.1]/', 'inside'],
    ['https://[64:ff9b::7f00:1]/', 'inside'],
    ['https://localhost/', 'inside'],
    ['https://orders.shop.svc.cluster.local/', 'inside'],
  ])('%s: %s', async (text, expected) => {
    expect(await refusal(text)).toBe(expected)
  })

  test('a local run allows the one address that it names, as an address, and nothing beside it', async () => {
    const local = { ...policy, receivers: ['127.0.0.1'] }
    expect(await refusal('http://127.0.0.1:9999/hook', local)).toBe('allowed')
    expect(await refusal('http://127.0.0.2:9999/', local)).toBe('scheme')
    expect(await refusal('https://127.77.0.5/', local)).toBe('inside')
    expect(await refusal('https://mixed.example/', local)).toBe('inside')
    expect(await refusal('http://shop.example/', local)).toBe('scheme')
  })
})

describe('names', () => {
  /** A name server that answers every question with this code and nothing else. */
  async function nameServer(code: number): Promise<{ address: string; close(): void }> {
    const server = createSocket('udp4')
    server.on('message', (question, { port, address }) => {
      const answer = Buffer.from(question)
      answer.writeUInt16BE(0x8180 | code, 2)
      server.send(answer, port, address)
    })
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
    return { address: `127.0.0.1:${server.address().port}`, close: () => server.close() }
  }

  test('a name that nobody has leads nowhere; one that nobody can tell of now says nothing about its owner', async () => {
    const [unknown, failing] = await Promise.all([nameServer(3), nameServer(2)])
    expect(await resolveName('shop.example', never, [unknown.address])).toEqual([])
    await expect(resolveName('shop.example', never, [failing.address])).rejects.toMatchObject({ code: 'ESERVFAIL' })
    const resolve = (host: string, signal: AbortSignal) => resolveName(host, signal, [failing.address])
    const url = 'https://shop.example/'
    const made = await attempt(
      { ...policy, resolve },
      { url, headers: {}, body: '{}' },
      { timeoutMs: 3_000, clock: () => new Date() },
    )
    expect(made).toMatchObject({ error: 'connection', reason: expect.stringContaining('ESERVFAIL') })
    const rules = { webhook: 'hooks', types: ['a'], policy: { ...policy, resolve } }
    const asked = subscribe({} as WebhookDatabase, rules, { url, types: ['a'] })
    await expect(asked).rejects.toMatchObject({ code: 'unavailable' })
    unknown.close()
    failing.close()
  })
})

describe('an attempt', () => {
  const post = (url: string) => ({ url, headers: {}, body: '{}' })
  const options = { timeoutMs: 300, clock: () => new Date() }

  async function answeredBy(
    listener: Parameters<typeof createServer>[1] & object,
    run: (port: number) => Promise<Attempt>,
  ): Promise<{ made: Attempt; asked: number }> {
    let asked = 0
    const server = createServer((request, response) => {
      asked += 1
      listener(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const made = await run((server.address() as AddressInfo).port)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    return { made, asked }
  }

  /** As if 127.0.0.1 were outside, under whatever name, in plain HTTP. */
  function outsideAt(port: number, resolve: TargetPolicy['resolve']): { policy: TargetPolicy; url: string } {
    const receivers = ['name.example']
    return {
      policy: { ...targetPolicy(receivers), resolve, isOutside: (address) => address === '127.0.0.1' },
      url: `http://name.example:${port}/`,
    }
  }

  test('goes to what was judged, though the name means something else a moment later', async () => {
    const meanings = [['127.0.0.1'], ['127.0.0.2']]
    const { made, asked } = await answeredBy(
      (_request, response) => response.end(),
      (port) => {
        const { policy, url } = outsideAt(port, async () => meanings.shift() ?? [])
        return attempt(policy, post(url), options)
      },
    )
    expect(made).toMatchObject({ status: 200, error: '' })
    expect(asked).toBe(1)
    // It was resolved once.
    expect(meanings).toEqual([['127.0.0.2']])
  })

  test('is refused at each attempt once the name leads inside, and nobody is asked', async () => {
    const meanings = [['127.0.0.1'], ['127.0.0.1', '10.0.0.1']]
    let second: Attempt | undefined
    const { asked } = await answeredBy(
      (_request, response) => response.end(),
      async (port) => {
        const { policy, url } = outsideAt(port, async () => meanings.shift() ?? [])
        const first = await attempt(policy, post(url), options)
        second = await attempt(policy, post(url), options)
        return first
      },
    )
    expect(asked).toBe(1)
    expect(second).toMatchObject({ status: null, error: 'target-refused' })
  })

  test('reads an endless answer to its bound, and believes the status', async () => {
    const { made } = await answeredBy(
      (_request, response) => {
        response.writeHead(500)
        const write = () => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
        }
        response.on('drain', write)
        write()
      },
      (port) => attempt(targetPolicy(['127.0.0.1']), post(`http://127.0.0.1:${port}/`), options),
    )
    expect(made).toMatchObject({ status: 500, error: 'answered' })
    expect(made.excerpt).toHaveLength(500)
  })

  test('takes no longer than it may, and a body that never ends does not undo a success', async () => {
    const silent = await answeredBy(
      () => undefined,
      (port) => attempt(targetPolicy(['127.0.0.1']), post(`http://127.0.0.1:${port}/`), options),
    )
    expect(silent.made).toMatchObject({ status: null, error: 'timeout' })
    const dripping = await answeredBy(
      (_request, response) => response.writeHead(200).write('…'),
      (port) => attempt(targetPolicy(['127.0.0.1']), post(`http://127.0.0.1:${port}/`), options),
    )
    expect(dripping.made).toMatchObject({ status: 200, error: '' })
  })

  test('opens TLS to the judged address and believes the certificate of the name alone', async () => {
    const trusted = getCACertificates('default')
    const authority = await newAuthority('test', 3_600_000)
    const subject = { name: 'hooks', spiffe: null, dnsNames: ['hooks.example'], addresses: [] }
    const { cert, key } = await issue(authority, subject, 3_600_000)
    const server = createTlsServer({ cert, key }, (request, response) => response.end(request.headers.host))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const outside = { ports: [port], isOutside: (address: string) => address === '127.0.0.1' }
    const policy: TargetPolicy = { ...targetPolicy(), ...outside, resolve: async () => ['127.0.0.1'] }
    const to = (host: string) => attempt(policy, post(`https://${host}:${port}/`), { ...options, timeoutMs: 3_000 })

    expect(await to('hooks.example')).toMatchObject({ status: null, error: 'connection' })
    setDefaultCACertificates([...trusted, authority.cert])
    expect(await to('hooks.example')).toMatchObject({ status: 200, error: '', excerpt: `hooks.example:${port}` })
    const impostor = await to('other.example')
    expect(impostor).toMatchObject({ status: null, error: 'connection' })
    expect(impostor.reason).toContain('ERR_TLS_CERT_ALTNAME_INVALID')
    setDefaultCACertificates(trusted)
    server.closeAllConnections()
    server.close()
  })

  test('no proxy of the environment is asked', async () => {
    const before = process.env.HTTP_PROXY
    process.env.HTTP_PROXY = 'http://127.0.0.1:1'
    process.env.NODE_USE_ENV_PROXY = '1'
    const { made } = await answeredBy(
      (_request, response) => response.end(),
      (port) => attempt(targetPolicy(['127.0.0.1']), post(`http://127.0.0.1:${port}/`), options),
    )
    delete process.env.NODE_USE_ENV_PROXY
    if (before === undefined) delete process.env.HTTP_PROXY
    else process.env.HTTP_PROXY = before
    expect(made.status).toBe(200)
  })
})
