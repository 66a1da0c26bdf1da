import { asks, queue, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import {
  CheckStockRequestSchema as CheckStockRequest,
  CheckStockResponseSchema as CheckStockResponse,
} from '#proto/parley/inventory/v1/inventory_pb.ts'

const stockQuestions = queue('stock-questions', { carries: [CheckStockRequest], replies: CheckStockResponse })

const planning = service('planning', { edges: [asks(stockQuestions, { deadlineMs: 30_000, inFlightMax: 50 })] })
const warehouse = service('warehouse', { edges: [works(stockQuestions)] })

export const example = system('example', { services: [planning, warehouse] })
