// The path of the standalone checker, and the shell command that runs it.

import { fileURLToPath } from "node:url";

/** The checker: one file without dependencies, which may be copied. */
export const checkerFile = fileURLToPath(new URL("../../../../docs/check-proof.mjs", import.meta.url));

/** A POSIX shell command, with words quoted where necessary. */
export function shellCommand(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(" ");
}
