/** The files of the image, run as the local run runs the sources: what was bundled must do what it does unbundled. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { orderIn, placeOrder } from '#test/shop/client.ts'
import { rootDir } from '#test/sources.ts'
import { shopStack, startTimeoutMs } from '#test/stack.ts'
import { bundle } from './bundle.ts'

const scratch = mkdtempSync(join(tmpdir(), 'parley-bundle-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

test(
  'the bundled shop takes an order to its end, and bundling twice gives the same bytes',
  async () => {
    const outDir = join(scratch, 'image')
    const request = { plan: derive(shop, 'kind'), rootDir, runDir: outDir }
    const modules = await bundle({ ...request, outDir })
    await bundle({ ...request, outDir: join(scratch, 'again') })
    for (const file of modules) {
      expect(readFileSync(join(scratch, 'again', file))).toEqual(readFileSync(join(outDir, file)))
    }

    const stack = shopStack(15)
    try {
      const up = await stack.parley('up', '--system', bundledSystem(outDir))
      expect(up).toMatchObject({ code: 0, stderr: '' })
      const { body } = await placeOrder(stack, { quantity: 1 })
      await orderIn(stack, body.orderId, 'shipped')
    } finally {
      await stack.stop()
    }
  },
  startTimeoutMs,
)

/** The shop with every module replaced by its bundle. */
function bundledSystem(outDir: string): string {
  writeFileSync(join(outDir, 'package.json'), JSON.stringify({ type: 'module' }))
  const file = join(outDir, 'system.ts')
  writeFileSync(
    file,
    `import { shop } from ${JSON.stringify(join(rootDir, 'mesh/shop.ts'))}
const start = (name: string) => ({ kind: 'module', file: 'services/' + name + '/main.js' })
const bundledStart = (one) => ({ ...one, start: { kind: 'module', file: one.start.file.replace(/ts$/, 'js') } })
const outside = (one) => ({ ...one, standIn: one.standIn && bundledStart(one.standIn) })
const edge = (one) => (one.kind === 'reaches' ? { ...one, external: outside(one.external) } : one)
const services = shop.services.map(({ spec, ...one }) => ({
  ...one,
  spec: { ...spec, start: start(one.name), edges: spec.edges?.map(edge) },
}))
export const bundled = { ...shop, services }
`,
  )
  return file
}
