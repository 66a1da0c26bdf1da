import { rest } from '#graph/api.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'

const api = rest('shop-api', { placeOrder: 'POST /orders', getOrder: 'GET /orders/{id}' })

// One service, one database, one transaction. Its modules are folders, not services.
const shop = service('shop', { exposes: [api], owns: [postgres()] })

export const example = system('example', { services: [shop], exposures: [exposure('public', shop, api)] })
