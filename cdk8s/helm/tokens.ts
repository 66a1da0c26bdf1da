/**
 * Tokens stand in rendered objects where a value of the chart will: texts that no declaration can hold, since `§` is in no
 * name, and that YAML always quotes.
 */

/** What a token becomes in a template. */
export type Expressions = Readonly<Record<string, string>>

/** A token inside of a text. */
export function token(name: string): string {
  return `§${name}§`
}

/** A token that is a whole value and no text: a number or a list. The quotes around it go. */
export function bareToken(name: string): string {
  return `§=${name}§`
}

/** Puts expressions where the tokens of a text are. */
export function toTemplate(text: string, expressions: Expressions): string {
  const bare = text.replace(/"§=([^§"]+)§"/g, (_, name: string) => expressionOf(name, expressions))
  return bare.replace(/§([^§]+)§/g, (_, name: string) => expressionOf(name, expressions))
}

function expressionOf(name: string, expressions: Expressions): string {
  const expression = expressions[name]
  if (expression === undefined) throw new Error(`The chart has no value for the token ${name}.`)
  return expression
}
