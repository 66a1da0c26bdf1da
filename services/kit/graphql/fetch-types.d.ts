/**
 * Stands in for the types of `@whatwg-node/fetch`, which Yoga imports and the kit never calls: theirs would put the whole DOM
 * among the globals, where a misspelt `name` or `status` is then the browser's instead of an error. See "paths" in tsconfig.json.
 */
export type Nothing = never
