// Escapes control characters in JSON for terminals and line-based readers, without changing the document.

/** DEL and C1 (U+009B opens an escape sequence), bidirectional controls and isolates, line separators, byte order mark. */
const controlCharacters = /[\u007F-\u009F\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069\uFEFF]/g;

/** @param json output of JSON.stringify, which escapes C0 and lone surrogates itself and has no such characters outside of strings. */
export function escapeJson(json: string): string {
  return json.replaceAll(controlCharacters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
