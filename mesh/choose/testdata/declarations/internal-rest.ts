import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'

const catalogApi = rest('catalog-api', { getProduct: 'GET /products/{id}', putProduct: 'PUT /products/{id}' })

const catalog = service('catalog', { exposes: [catalogApi] })

// GET and PUT may be retried: HTTP says that they are idempotent.
const backoffice = service('backoffice', {
  edges: [calls(catalogApi, ['getProduct', 'putProduct'], { deadlineMs: 1_000, retry: { attempts: 2 } })],
})

export const example = system('example', { services: [backoffice, catalog] })
