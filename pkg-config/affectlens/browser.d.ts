/** A class of pages by its name; `never` under a library of TypeScript that has none, as that of workers. */
export type InPages<Name extends string> = typeof globalThis extends Record<Name, { prototype: infer Instance }> ? Instance : never;
