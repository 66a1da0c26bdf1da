/** The part of JSON Schema that Parley's REST interfaces are written in; `JsonType` gives the type of what it lets pass. */
export type JsonSchema = {
  readonly type?: JsonTypeName | readonly JsonTypeName[]
  readonly enum?: readonly (string | number)[]
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly [keyword: string]: unknown
}

type JsonTypeName = 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object' | 'null'

/** The type of the values that a schema lets pass. What the schema does not say is `unknown`. */
export type JsonType<S> = S extends { enum: readonly (infer Value)[] }
  ? Value
  : S extends { type: 'string' }
    ? string
    : S extends { type: 'integer' | 'number' }
      ? number
      : S extends { type: 'boolean' }
        ? boolean
        : S extends { type: 'array' }
          ? S extends { items: infer Item }
            ? readonly JsonType<Item>[]
            : readonly unknown[]
          : S extends { type: 'object'; properties: infer Properties }
            ? ObjectType<Properties, S extends { required: readonly (infer Name)[] } ? Name : never>
            : unknown

type ObjectType<Properties, Required> = {
  readonly [K in keyof Properties as K extends Required ? K : never]: JsonType<Properties[K]>
} & {
  readonly [K in keyof Properties as K extends Required ? never : K]?: JsonType<Properties[K]>
}
