declare module "@media/*" {
  const url: string;
  export default url;
}
declare module "*?url" {
  const url: string;
  export default url;
}
declare module "*.css";
interface ImportMeta {
  /** Of the bundler: what each file that fits the pattern gives. */
  glob(pattern: string, options: { query: string; import: string; eager: true }): Record<string, string>;
}
