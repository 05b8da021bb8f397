/** The part of negotiator 1 that is used here: @types/negotiator describes 0.6, without `preferred`. */
declare module 'negotiator' {
  export default class Negotiator {
    constructor(request: { readonly headers: Readonly<Record<string, string | string[] | undefined>> });

    /** Returns the coding that a client likes best; of several that it likes equally, the first of `preferred`. */
    encoding(
      available: readonly string[],
      options?: { readonly preferred?: readonly string[] },
    ): string | undefined;
  }
}
