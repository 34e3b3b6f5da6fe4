// Parses JSON without losing digits of numbers, such as a bigint beyond 2^53 or a numeric with 30 digits.

declare global {
  // ECMAScript's "JSON.parse source text access", which TypeScript's library does not describe yet: https://tc39.es/proposal-json-parse-with-source/
  interface JSON {
    parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
    rawJSON(text: string): object;
    isRawJSON(value: unknown): boolean;
  }
}

/**
 * Parses JSON like JSON.parse, except that a number which JSON.stringify would print differently becomes an object that JSON.stringify
 * prints with exactly the digits of `text`.
 * @throws SyntaxError when `text` is not JSON.
 */
export function parseExactJson(text: string): unknown {
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? JSON.rawJSON(source) : value,
  );
}

/** True for a number from `parseExactJson`, whether or not it fits a float64. */
export function isJsonNumber(value: unknown): boolean {
  return typeof value === "number" || JSON.isRawJSON(value);
}
