/** An answer of a service's admin address. What is no JSON object is `{ message }`: whatever it is, it is shown. */
export type AdminAnswer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> }

/**
 * Asks one service's admin address, wherever the service runs; `body` is that of a POST. Any status is an answer. Rejects where
 * nobody answers.
 */
export type AskAdmin = (
  verb: 'GET' | 'POST',
  path: string,
  body?: Readonly<Record<string, unknown>>,
) => Promise<AdminAnswer>

/** An answer as it came. A service in another language may say it in plain text, which is no reason to call it down. */
export function adminAnswer({ status, text }: { readonly status: number; readonly text: string }): AdminAnswer {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null) return { status, body: { ...parsed } }
  } catch {
    // It is shown as it is.
  }
  return { status, body: { message: text.trim() } }
}
