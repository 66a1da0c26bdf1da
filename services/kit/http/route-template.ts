/** The parameters of a path template: `{ id: string }` for `GET /orders/{id}`. */
export type PathParams<R extends string> = R extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [K in Name]: string } & PathParams<Rest>
  : unknown

/** Parts a declared route: `GET /orders/{id}` into its verb and its template. */
export function splitRoute(route: string): { verb: string; template: string } {
  const [verb = '', template = ''] = route.split(' ')
  return { verb, template }
}

/** The template as fastify writes it: `/orders/:id`. */
export function fastifyPath(template: string): string {
  return template.replaceAll(/\{(\w+)\}/g, ':$1')
}

/** Fills a template in. Every value stays within its segment. Throws on a parameter that is missing or empty. */
function fillTemplate(template: string, params: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name]
    // An empty segment, or one of dots, would be another path once somebody on the way normalises it.
    if (!value || value === '.' || value === '..')
      throw new Error(`${template} needs a value for {${name}}, not "${value}"`)
    return encodeURIComponent(value)
  })
}

/** The path of a request with its query. Throws as `fillTemplate` does. */
export function pathWithQuery(
  template: string,
  { params = {}, query }: { params?: Readonly<Record<string, string>>; query?: Readonly<Record<string, string>> },
): string {
  const search = new URLSearchParams(query).toString()
  return fillTemplate(template, params) + (search && `?${search}`)
}

/** Whether a path is one that the template describes. */
export function matchesTemplate(template: string, path: string): boolean {
  return templatePattern(template).test(path)
}

/** What matches the paths that a template describes. */
export function templatePattern(template: string): RegExp {
  const pattern = template.split(/\{\w+\}/).map((part) => RegExp.escape(part))
  return new RegExp(`^${pattern.join('[^/]+')}$`)
}
