// The checker for people who have nothing but Node, and the shell command that runs it.

import { fileURLToPath } from "node:url";

/** The checker's path; it is one file, without dependencies, and may be copied. */
export const checkerFile = fileURLToPath(new URL("../../../../docs/check-proof.mjs", import.meta.url));

/** A command for a POSIX shell, with each word quoted where the shell would read something into it. */
export function shellCommand(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(" ");
}
