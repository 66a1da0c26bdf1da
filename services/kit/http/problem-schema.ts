/** The schema of a problem document (RFC 9457), which is what every interface answers when it went wrong. */
export const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', description: 'Stable; see the reference of error codes.' },
    correlationId: { type: 'string' },
    versions: { type: 'array', items: { type: 'string' }, description: 'Those that are served instead.' },
    errors: { type: 'array', items: { type: 'object' } },
  },
} as const
