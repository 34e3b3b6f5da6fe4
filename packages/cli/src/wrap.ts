// Breaks text between words, to the width of a terminal.

import stringWidth from "string-width";

/** Narrower than this, text is left as it is: a terminal of that width cannot be served. */
const minWidth = 20;

/**
 * @param columns of the terminal; undefined: nothing is broken.
 * @param indent of every line but the first, whose indent the caller has written.
 */
export function wrap(
  text: string,
  { columns, indent }: { readonly columns: number | undefined; readonly indent: string },
): string {
  const width = columns === undefined ? Infinity : Math.max(minWidth, columns - stringWidth(indent));
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && stringWidth(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line].join(`\n${indent}`);
}
