import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'

const inventory = service('inventory', { exposes: [InventoryService] })

const orders = service('orders', {
  edges: [
    calls(InventoryService, ['checkStock'], {
      deadlineMs: 300,
      retry: { attempts: 2, perTryTimeoutMs: 140 },
      breaker: { failures: 5, openMs: 30_000 },
      fallback: true,
    }),
  ],
})

export const example = system('example', { services: [orders, inventory] })
