import type { Row } from './row.ts'
import { restRow } from './rows/01-rest.ts'
import { grpcUnaryRow } from './rows/02-grpc-unary.ts'
import { grpcStreamingRow } from './rows/03-grpc-streaming.ts'
import { graphqlRow } from './rows/04-graphql.ts'
import { messageQueueRow } from './rows/05-message-queue.ts'
import { requestReplyRow } from './rows/06-request-reply.ts'
import { publishSubscribeRow } from './rows/07-publish-subscribe.ts'
import { eventStreamingRow } from './rows/08-event-streaming.ts'
import { eventSourcingRow } from './rows/09-event-sourcing.ts'
import { cqrsRow } from './rows/10-cqrs.ts'
import { choreographyRow } from './rows/11-saga-choreography.ts'
import { orchestrationRow } from './rows/12-saga-orchestration.ts'
import { serviceMeshRow } from './rows/13-service-mesh.ts'
import { webhooksRow } from './rows/14-webhooks.ts'
import { apiGatewayRow } from './rows/15-api-gateway.ts'
import { grpcWebRow } from './rows/16-grpc-web.ts'
import { apiVersionsRow } from './rows/17-api-versions.ts'
import { sharedDatabaseRow } from './rows/18-shared-database.ts'
import { deadLettersRow } from './rows/19-dead-letters.ts'

/** They take a service away for a while. */
export const disruptiveRows: readonly Row[] = [apiGatewayRow, serviceMeshRow]

/** Every row, in the order in which they are walked: by number, but the disruptive ones come last. */
export const rows: readonly Row[] = [
  restRow,
  grpcUnaryRow,
  grpcStreamingRow,
  graphqlRow,
  messageQueueRow,
  requestReplyRow,
  publishSubscribeRow,
  eventStreamingRow,
  eventSourcingRow,
  cqrsRow,
  choreographyRow,
  orchestrationRow,
  webhooksRow,
  grpcWebRow,
  apiVersionsRow,
  sharedDatabaseRow,
  deadLettersRow,
  ...disruptiveRows,
]
