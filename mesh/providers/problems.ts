type Config = Readonly<Record<string, unknown>>

/** What a proxy refuses by itself, by status; the applications answer with the same codes and titles. */
const refusals: Readonly<Record<number, { code: string; title: string }>> = {
  400: { code: 'malformed-request', title: 'The request is no HTTP that this server understands' },
  401: { code: 'unauthenticated', title: 'Who is asking is not known' },
  403: { code: 'permission-denied', title: 'This may not be done by who is asking' },
  404: { code: 'route-not-found', title: 'Nothing is here' },
  405: { code: 'method-not-allowed', title: 'This resource does not take this method' },
  408: { code: 'deadline-exceeded', title: 'It took too long' },
  413: { code: 'body-too-large', title: 'The body is larger than allowed' },
  429: { code: 'rate-limited', title: 'Too many requests in this second' },
  431: { code: 'headers-too-large', title: 'The headers are larger than allowed' },
  501: { code: 'unimplemented', title: 'This is not offered' },
  503: { code: 'unavailable', title: 'A part that is needed cannot be had' },
  504: { code: 'deadline-exceeded', title: 'It took too long' },
}

const isGrpc: Config = {
  header_filter: { header: { name: 'content-type', string_match: { prefix: 'application/grpc' } } },
}

/**
 * Makes every refusal of the proxy's own a problem document (RFC 9457) with a stable code; a redirect stays as it is. Callers by gRPC
 * get gRPC's status, in whose message a document would be noise.
 */
export const problems: Config = {
  mappers: [
    { filter: isGrpc, body_format_override: { text_format_source: { inline_string: '%LOCAL_REPLY_BODY%' } } },
    ...Object.entries(refusals).map(([status, refusal]) => mapper('EQ', Number(status), refusal)),
    mapper('GE', 400, { code: 'refused', title: 'The request was refused' }),
  ],
}

function mapper(op: 'EQ' | 'GE', status: number, refusal: Parameters<typeof problemFormat>[0]): Config {
  return {
    filter: {
      status_code_filter: { comparison: { op, value: { default_value: status, runtime_key: 'parley.problem' } } },
    },
    body_format_override: problemFormat(refusal),
  }
}

function problemFormat({ code, title }: { code: string; title: string }): Config {
  return {
    json_format: {
      type: `urn:parley:problem:${code}`,
      title,
      detail: '%LOCAL_REPLY_BODY%',
      status: '%RESPONSE_CODE%',
      instance: '%REQ(:PATH)%',
      code,
      correlationId: '%REQ(X-CORRELATION-ID)%',
    },
    content_type: 'application/problem+json',
  }
}
