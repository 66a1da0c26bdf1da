import type { Config } from './config.ts'

/** The codes of what a proxy refuses by itself, by status; the applications answer with the same codes. */
const codes: Readonly<Record<number, string>> = {
  400: 'malformed-request',
  404: 'route-not-found',
  405: 'method-not-allowed',
  408: 'deadline-exceeded',
  413: 'body-too-large',
  429: 'rate-limited',
  431: 'headers-too-large',
  501: 'unimplemented',
  503: 'unavailable',
  504: 'deadline-exceeded',
}

/** Makes every answer of the proxy's own a problem document (RFC 9457) with a stable code. */
export const problems: Config = {
  mappers: Object.entries(codes).map(([status, code]) => ({
    filter: {
      status_code_filter: {
        comparison: { op: 'EQ', value: { default_value: Number(status), runtime_key: 'parley.problem' } },
      },
    },
    body_format_override: problemFormat(code),
  })),
  body_format: problemFormat('refused'),
}

function problemFormat(code: string): Config {
  return {
    json_format: {
      type: `urn:parley:problem:${code}`,
      title: '%LOCAL_REPLY_BODY%',
      status: '%RESPONSE_CODE%',
      instance: '%REQ(:PATH)%',
      code,
      correlationId: '%REQ(X-CORRELATION-ID)%',
    },
    content_type: 'application/problem+json',
  }
}
