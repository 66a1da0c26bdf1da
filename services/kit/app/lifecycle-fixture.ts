/** A small service for the test of a whole process. A request for product `slow` is answered after 300 ms; `crash` ends the process. */
import { service } from '#graph/service.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { implement } from '../grpc/implementation.ts'
import { grpcServer } from '../grpc/server.ts'
import { run } from './lifecycle.ts'

const inventory = service('inventory', { exposes: [InventoryService] })

const stock = implement(InventoryService, {
  async checkStock({ lines: [line] }) {
    if (line?.productId === 'slow') await new Promise((resolve) => setTimeout(resolve, 300))
    if (line?.productId === 'crash') {
      setImmediate(() => {
        throw new Error('a fault of the programmer')
      })
    }
    return { lines: [{ productId: line?.productId ?? '', known: true }] }
  },
})

await run(inventory, async (app) => {
  await app.add('grpc', grpcServer(app, stock))
  if (process.env.FIXTURE_HANGS) await new Promise(() => undefined)
})
