import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { CheckStockRequestSchema, CheckStockResponseSchema } from '#proto/parley/inventory/v1/inventory_pb.ts'

type Request = MessageInitShape<typeof CheckStockRequestSchema>
type Response = MessageInitShape<typeof CheckStockResponseSchema>

/** The one method of the hop, as grpc-js wants it: an ordinary small message both ways. */
export const checkStock = {
  path: '/parley.inventory.v1.InventoryService/CheckStock',
  requestStream: false,
  responseStream: false,
  requestSerialize: (value: Request) =>
    Buffer.from(toBinary(CheckStockRequestSchema, create(CheckStockRequestSchema, value))),
  requestDeserialize: (bytes: Buffer) => fromBinary(CheckStockRequestSchema, bytes),
  responseSerialize: (value: Response) =>
    Buffer.from(toBinary(CheckStockResponseSchema, create(CheckStockResponseSchema, value))),
  responseDeserialize: (bytes: Buffer) => fromBinary(CheckStockResponseSchema, bytes),
} as const
