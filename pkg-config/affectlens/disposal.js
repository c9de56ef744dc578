// @ts-check
// What `using` calls, also where the browser does not know of it yet.

/** @type {typeof Symbol.dispose} */
export const DISPOSE = Symbol.dispose ?? Symbol.for("Symbol.dispose");
