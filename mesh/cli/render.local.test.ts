/** What a reviewer of a change asks: is what is committed fresh, what changed, and whom does it break. */
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { rootDir } from '#test/sources.ts'
import { parleyIn } from '#test/stack.ts'

const scratch = mkdtempSync(join(tmpdir(), 'parley-render-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const parley = parleyIn({})

describe('parley render', () => {
  test('what is committed in charts/ is what the declaration renders to', async () => {
    expect(await parley('render', '--check')).toMatchObject({ code: 0, stderr: '' })
  }, 120_000)

  test('--check names each file that is not as it should be, and render puts all right', async () => {
    const out = join(scratch, 'out')
    const variant = ['--environment', 'kind', '--mesh', 'istio', '--out', out]
    expect(await parley('render', ...variant)).toMatchObject({ code: 0 })
    appendFileSync(join(out, 'kind/istio/workloads/orders.yaml'), '# by hand\n')
    rmSync(join(out, 'kind/istio/data/orders.yaml'))
    writeFileSync(join(out, 'kind/istio/data/old.yaml'), '')
    const stale = await parley('render', '--check', ...variant)
    expect(stale.code).toBe(1)
    for (const line of [
      /workloads\/orders\.yaml: changed, line \d+: "# by hand"/,
      /data\/orders\.yaml: missing/,
      /data\/old\.yaml: left over/,
    ]) {
      expect(stale.stderr).toMatch(line)
    }
    expect((await parley('render', ...variant)).stdout).toMatch(/kind\/istio: \d+ files, 3 changed/)
    expect(await parley('render', '--check', ...variant)).toMatchObject({ code: 0 })
  }, 60_000)

  test('what the settings leave open is said once, and nothing of it goes unsaid', async () => {
    const settings = join(scratch, 'settings.yaml')
    const text = (more: string): string =>
      `image: { repository: registry.example/services, tag: "1"${more} }\nclusterIssuer: letsencrypt\ngit: { url: https://git.example/x, revision: main }\n`
    writeFileSync(settings, text(''))
    const variant = ['--environment', 'production', '--out', join(scratch, 'open'), '--settings', settings]
    const { stderr } = await parley('render', ...variant)
    expect(stderr.match(/image\.digest is null/g)).toHaveLength(1)
    expect(stderr).toContain(
      'not supported on production/istio and production/linkerd and production/none: exposure shop: a certificate of letsencrypt: it has no host',
    )
    const hosts = shop.exposures.map(({ name }) => `${name}: ${name}.example`).join(', ')
    writeFileSync(settings, `${text(`, digest: "sha256:${'5'.repeat(64)}"`)}hosts: { ${hosts} }\n`)
    expect((await parley('render', ...variant)).stderr).not.toMatch(/digest|certificate/)
  }, 60_000)

  test('a folder below a file cannot be written, which is said with what was', async () => {
    writeFileSync(join(scratch, 'file'), '')
    const out = join(scratch, 'file/below')
    expect(await parley('render', '--environment', 'kind', '--mesh', 'istio', '--out', out)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /below\/kind\/istio cannot be written: ENOTDIR.*kind\/istio may be written in part/s,
      ),
    })
  })

  test('a wrong list of operators is named field by field', async () => {
    const copy = join(scratch, 'checkout')
    for (const path of [
      'bin',
      'cdk8s',
      'charts/operators',
      'charts/settings',
      'mesh',
      'package.json',
      'proto',
      'services',
    ]) {
      cpSync(join(rootDir, path), join(copy, path), { recursive: true })
    }
    symlinkSync(join(rootDir, 'node_modules'), join(copy, 'node_modules'))
    const list = join(copy, 'charts/operators/operators.yaml')
    writeFileSync(list, readFileSync(list, 'utf8').replace('wave: 0', 'wave: first').replace('wave: 1', 'wave: second'))
    const said = spawnSync(join(copy, 'bin/parley'), ['render', '--out', join(scratch, 'none')], { encoding: 'utf8' })
    expect(said).toMatchObject({ status: 2, stderr: expect.not.stringMatching(/ at .*\.ts/) })
    expect(said.stderr).toContain('operators[gateway-api].wave: is "first"; allowed: a whole number')
    expect(said.stderr).toContain('operators[cert-manager].wave: is "second"; allowed: a whole number')
  })

  test('a system outside of the checkout is told where to go', async () => {
    const file = join(scratch, 'system.ts')
    writeFileSync(
      file,
      "import { system } from '#graph/system.ts'\nexport const mine = system('mine', { services: [] })\n",
    )
    expect(await parley('render', '--system', file, '--stdout')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/system\.ts is not in .*Put the system into that folder, such as under examples\//),
    })
  })

  test.each([
    [['render', '--mesh', 'consul'], 'There is no mesh consul; there are istio, linkerd, none.'],
    [['render', '--environment', 'local'], 'There is no cluster environment local; there are kind, production.'],
    [['render', '--stdout'], '--stdout prints one variant'],
    [['render', '--settings', 'nowhere.yaml'], 'There is no file nowhere.yaml'],
    [['diff', 'no-such-branch'], 'Git knows no revision no-such-branch here'],
  ])('%j is refused', async (args, message) => {
    expect(await parley(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
  })
})

test('parley diff tells what changed, and whom it breaks', async () => {
  const repository = join(scratch, 'repository')
  execFileSync('git', ['clone', '--quiet', '--shared', rootDir, repository])
  symlinkSync(join(rootDir, 'node_modules'), join(repository, 'node_modules'))
  const file = join(repository, 'mesh/shop.ts')
  const diffOf = async (part: string, was: string | RegExp, is: string) => {
    const path = join(repository, part)
    const declared = readFileSync(path, 'utf8')
    writeFileSync(path, declared.replace(was, is))
    const told = await parley('diff', 'HEAD', '--system', file)
    writeFileSync(path, declared)
    return told
  }
  expect(await parley('diff', '--system', file)).toMatchObject({ code: 0, stdout: 'Nothing changed.\n' })

  const slower = await diffOf('mesh/shop.ts', 'deadlineMs: 2_000', 'deadlineMs: 2_500')
  expect(slower).toMatchObject({ code: 0 })
  expect(slower.stdout).toBe('~ question gateway → quotes\n    deadlineMs: 2000 → 2500\n\n1 change; breaking: 0.\n')

  const gone = await diffOf('mesh/shop/interfaces.ts', / *quoteShipping: .*\n/, '')
  expect(gone).toMatchObject({ code: 1 })
  expect(gone.stdout).toContain('! breaks clients outside that ask GET /api/{version}/quotes, GET /api/quotes\n')

  const wrong = await diffOf('mesh/shop.ts', "['listOrders'], {", "['listOrdrs'], {")
  expect(wrong).toMatchObject({ code: 1, stdout: '' })
  expect(wrong.stderr).toMatch(/PLY109[\s\S]*Nothing was compared\./)
}, 60_000)
