// JSON for a terminal, or for a reader of lines: the same document, in which no character is left that either would obey.

/** DEL and C1 (U+009B opens an escape sequence), bidirectional controls and isolates, line separators, byte order mark. */
const obeyed = /[\u007F-\u009F\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069\uFEFF]/g;

/** @param json what JSON.stringify made: it has escaped C0 and lone surrogates itself. Outside of strings there is nothing to escape. */
export function escapeJson(json: string): string {
  return json.replaceAll(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
