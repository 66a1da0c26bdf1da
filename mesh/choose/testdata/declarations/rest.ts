import { rest } from '#graph/api.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'

const api = rest('orders-api', { createOrder: 'POST /api/v1/orders', getOrder: 'GET /api/v1/orders/{id}' })

const gateway = service('gateway', { exposes: [api] })

export const example = system('example', {
  services: [gateway],
  exposures: [
    exposure('public', gateway, api, {
      rateLimit: { perSecond: 200, burst: 400 },
      bodyBytesMax: 64 * 1024,
      deadlineMs: 3_000,
    }),
  ],
})
