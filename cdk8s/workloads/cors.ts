import type { PlannedExposure } from '#plan/plan.ts'

/** What a page from elsewhere may do: call, without cookies. */
export function corsOf({ authentication }: PlannedExposure) {
  return {
    allowOrigins: ['*'],
    allowMethods: ['POST'],
    allowHeaders: [
      ...(authentication.kind === 'jwt' ? ['authorization'] : []),
      'content-type',
      'grpc-timeout',
      'x-grpc-web',
      'x-user-agent',
    ],
    exposeHeaders: ['grpc-status', 'grpc-message', 'grpc-status-details-bin'],
    // In seconds. Without it browsers ask again every 5 s.
    maxAge: 600,
  }
}
