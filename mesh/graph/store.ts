/** A database of one service. */
export type StoreNode = {
  readonly kind: 'postgres'
  /** The database's name; null stands for the owner's own name. A name that two services give is a shared database. */
  readonly name: string | null
  /** Connections one replica may hold at once. */
  readonly connectionsMax: number
}

/** Declares a Postgres database with a role of its own. `connectionsMax` defaults to 10 a replica. */
export function postgres(spec: { name?: string; connectionsMax?: number } = {}): StoreNode {
  return { kind: 'postgres', name: spec.name ?? null, connectionsMax: spec.connectionsMax ?? 10 }
}
