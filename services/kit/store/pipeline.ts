import pg from 'pg'

/**
 * Sends statements in one message and waits for one answer, where each by itself would cost a round trip. They end with one
 * Sync of the protocol: the server skips all that follow a failed one, a COMMIT too. Rejects with the first failure.
 */
export async function inOneTrip(
  client: pg.ClientBase,
  configs: readonly pg.QueryConfig[],
  types: pg.CustomTypesConfig,
): Promise<readonly pg.QueryResult[]> {
  try {
    return await new Promise((resolve, reject) => void client.query(pipelineOf(configs, types, resolve, reject)))
  } catch (thrown) {
    // As `pg` does: the stack of the socket's reader would not tell who asked.
    if (thrown instanceof Error) Error.captureStackTrace(thrown)
    throw thrown
  }
}

/** What `pg.Query` has beyond its types: how it hears of its answer. Its client calls the same on whatever was submitted. */
type Listening = Omit<pg.Query, 'submit'> & {
  readonly name?: string
  readonly text: string
  submit(connection: Wire): Error | null
  handleRowDescription(message: unknown): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, connection: Wire): void
  handleReadyForQuery(connection: Wire): void
}
type Wire = pg.Connection & { readonly submittedNamedStatements: Record<string, string> }

function pipelineOf(
  configs: readonly pg.QueryConfig[],
  types: pg.CustomTypesConfig,
  resolve: (results: readonly pg.QueryResult[]) => void,
  reject: (reason: unknown) => void,
) {
  const results: pg.QueryResult[] = []
  let failed = false
  const fail = (reason: unknown) => {
    failed = true
    reject(reason)
  }
  const queries = configs.map((config, index) => {
    // Without values `pg` would choose the simple protocol, which has no pipelines.
    const extended = { ...config, types, queryMode: 'extended' }
    const heard = (error: Error | null | undefined, result: unknown) => {
      if (error) fail(error)
      else results[index] = result as pg.QueryResult
    }
    return new pg.Query(extended, heard) as unknown as Listening
  })
  let answered = 0
  const current = () => queries[answered]
  return {
    // By these two the client knows which statement a connection has parsed.
    get name() {
      return current()?.name
    },
    get text() {
      return current()?.text
    },
    submit(connection: pg.Connection) {
      const wire = connection as Wire
      const unsynced: Wire = Object.create(wire, { sync: { value: () => undefined } })
      wire.stream.cork()
      for (const query of queries) {
        // What cannot even be sent must keep what follows from being sent.
        const refused = query.submit(unsynced)
        if (refused) fail(refused)
        if (failed) break
      }
      wire.sync()
      wire.stream.uncork()
    },
    handleRowDescription: (message: unknown) => current()?.handleRowDescription(message),
    handleDataRow: (message: unknown) => current()?.handleDataRow(message),
    handleCommandComplete(message: unknown, connection: Wire) {
      current()?.handleCommandComplete(message, connection)
      answered += 1
    },
    handleError(error: unknown, connection: Wire) {
      // What was skipped was not parsed either.
      for (const { name } of queries.slice(answered)) if (name) delete connection.submittedNamedStatements[name]
      fail(error)
    },
    handleReadyForQuery(connection: Wire) {
      if (failed) return
      for (const query of queries) query.handleReadyForQuery(connection)
      resolve(results)
    },
  }
}
