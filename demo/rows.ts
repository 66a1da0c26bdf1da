import type { Row } from './row.ts'
import { restRow } from './rows/01-rest.ts'
import { grpcUnaryRow } from './rows/02-grpc-unary.ts'
import { messageQueueRow } from './rows/05-message-queue.ts'
import { requestReplyRow } from './rows/06-request-reply.ts'

/** Every row, in the order in which they are walked: what takes something away comes last. */
export const rows: readonly Row[] = [restRow, grpcUnaryRow, messageQueueRow, requestReplyRow]
