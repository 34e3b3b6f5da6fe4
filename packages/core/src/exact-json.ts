// JSON whose numbers keep their digits: a bigint beyond 2^53 and a numeric with 30 digits are valid JSON and no float64.

declare global {
  // ECMAScript's "JSON.parse source text access", which TypeScript's library does not describe yet: https://tc39.es/proposal-json-parse-with-source/
  interface JSON {
    parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
    rawJSON(text: string): object;
    isRawJSON(value: unknown): boolean;
  }
}

/**
 * Parses JSON as JSON.parse does, except for numbers whose digits JSON.stringify would not print again: each of these becomes an object
 * that JSON.stringify prints with exactly the digits of `text`.
 * @throws SyntaxError when `text` is not JSON.
 */
export function parseExactJson(text: string): unknown {
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? JSON.rawJSON(source) : value,
  );
}

/** True for a number of `parseExactJson`, whether or not a float64 holds it. */
export function isJsonNumber(value: unknown): boolean {
  return typeof value === "number" || JSON.isRawJSON(value);
}
