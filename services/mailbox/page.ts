/** An e-mail as it arrived. `at` is RFC 3339. */
export type Email = {
  readonly messageId: string
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly text: string
  readonly at: string
}

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --quiet: color-mix(in srgb, currentColor 60%, transparent) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.25rem; display: flex; justify-content: space-between; align-items: baseline }
h1 small, .to, time { color: var(--quiet); font-weight: normal; font-size: .85rem }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0 }
summary { padding: .6rem .9rem; cursor: pointer; display: grid; grid-template-columns: 1fr auto; gap: 0 1rem }
summary b { overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: .9rem; border-top: 1px solid var(--line); font: inherit }
`

/** The mailbox as a page without a script; it looks again every five seconds. */
export function mailboxPage(emails: readonly Email[]): string {
  const list = emails.map(item).join('') || '<p>No e-mail yet. Place an order, and its confirmation appears here.</p>'
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width"><title>Mailbox (${emails.length})</title><style>${style}</style>
<h1>Mailbox <small>${emails.length} e-mail${emails.length === 1 ? '' : 's'}, newest first</small></h1>${list}</html>`
}

function item({ to, subject, text, at }: Email, index: number): string {
  return `<details${index === 0 ? ' open' : ''}><summary><b>${escaped(subject)}</b><time>${escaped(at.replace('T', ' ').slice(0, 19))}</time>
<span class="to">to ${escaped(to.join(', '))}</span></summary><pre>${escaped(text)}</pre></details>`
}

/** E-mails come from anywhere: nothing in them may become markup. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
