import type { ExposureNode } from '#graph/exposure.ts'
import { byName } from './edges.ts'
import { exposureOwner, rule } from './rule.ts'
import { list } from './text.ts'

/** Pages of other origins are named, one by one. */
export const crossOrigin = rule({
  code: 'PLY406',
  title: 'Pages that may call are named',
  why: 'A browser asks the exposure which origins may call. What is no origin never matches; any origin together with a token lets every page spend what it got hold of.',
  reference: 'Fetch, "CORS protocol"; OWASP, "HTML5 Security Cheat Sheet"',
  check: (system) =>
    byName(system.exposures).flatMap((exposure) =>
      said(exposure).map((each) => ({
        path: [`exposure ${exposure.name}`],
        cost: null,
        owners: [exposureOwner(exposure)],
        ...each,
      })),
    ),
})

function said({ name, origins, client, authentication }: ExposureNode) {
  const wrong = origins.filter((origin) => origin !== '*' && !isOrigin(origin))
  return [
    ...(wrong.length > 0
      ? [
          {
            message: `The exposure ${name} names ${list(wrong.map((origin) => JSON.stringify(origin)))}, which no browser sends as an origin.`,
            mend: 'Write the scheme, the host and the port where it is not the usual one, in lower case and with nothing behind: `https://shop.example`.',
          },
        ]
      : []),
    ...(origins.includes('*') && authentication.kind !== 'none'
      ? [
          {
            message: `The exposure ${name} takes tokens from pages of any origin.`,
            mend: `Name the origins on \`exposure('${name}', …)\` in place of \`*\`.`,
          },
        ]
      : []),
    ...(origins.length > 0 && client !== 'browser'
      ? [
          {
            message: `The exposure ${name} is for machines, which have no origin, and lets pages in.`,
            mend: `Declare \`client: 'browser'\` on \`exposure('${name}', …)\`, or take \`origins\` off.`,
          },
        ]
      : []),
  ]
}

/** What a browser sends as it stands; it compares nothing and completes nothing. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text
}
