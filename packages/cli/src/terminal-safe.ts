// Makes untrusted text safe for a terminal. A log can hold escape sequences that move the cursor, set the title, or worse
// (CVE-2026-45803 of the GitHub CLI): only newline, tab and colours (SGR) pass, the rest is made visible.

import { Transform, type TransformCallback } from "node:stream";
import { StringDecoder } from "node:string_decoder";

// The patterns match control characters on purpose.
/* oxlint-disable no-control-regex */
// An SGR sequence is ESC [ digits, ; and : m. Anything longer than this is no colour.
const sgr = /^\u001B\[[0-9;:]{0,32}m/;
const unfinishedSgr = /\u001B(\[[0-9;:]{0,32})?$/;

/** For one line or cell: every control character is shown, colours included. */
export function showControls(text: string): string {
  // The fast path for almost all cells: checking each character took most of the time of a large table.
  if (/^[\u0020-\u007E]*$/.test(text)) return text;
  return Array.from(text, (character) =>
    isHarmless(character) && character !== "\n" && character !== "\t" ? character : visible(character),
  ).join("");
}

/** For the program's own lines with names in them: a colour in a name could hide the rest. */
export function showLines(text: string): string {
  return text.split("\n").map(showControls).join("\n");
}

/**
 * A transform from UTF-8 in any chunks, starting at a line, to text that is safe to print. Invalid UTF-8 becomes U+FFFD. Byte
 * order marks at the start of a line are omitted: the runner writes one every 2 MiB, at the start of a block.
 */
export class TerminalSafe extends Transform {
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  #isAtLineStart = true;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const text = this.#rest + this.#decoder.write(chunk);
    // The chunk's end may split a colour.
    const cut = unfinishedSgr.exec(text)?.index ?? text.length;
    this.#rest = text.slice(cut);
    done(null, makeSafe(this.#withoutMarks(text.slice(0, cut))));
  }

  override _flush(done: TransformCallback): void {
    done(null, makeSafe(this.#withoutMarks(this.#rest + this.#decoder.end())));
  }

  #withoutMarks(text: string): string {
    if (text === "") return text;
    const kept = text.replaceAll(this.#isAtLineStart ? /(?<=^|\n)\uFEFF+/g : /(?<=\n)\uFEFF+/g, "");
    if (kept !== "") this.#isAtLineStart = kept.endsWith("\n");
    return kept;
  }
}

/** @returns `text` with newlines, tabs and colours kept, and every other control character made visible. */
export function makeSafe(text: string): string {
  let safe = "";
  let from = 0;
  // Control characters: C0, DEL, C1, bidirectional controls and isolates, line separators, byte order mark.
  for (const { index } of text.matchAll(
    /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069\uFEFF]/g,
  )) {
    if (index < from) continue;
    safe += text.slice(from, index);
    const colour = sgr.exec(text.slice(index, index + 40))?.[0];
    safe += colour ?? visible(text.charAt(index));
    from = index + (colour?.length ?? 1);
  }
  return safe + text.slice(from);
}

function isHarmless(character: string): boolean {
  return makeSafe(character) === character;
}

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return `^${String.fromCharCode(code + 0x40)}`;
  if (code === 0x7f) return "^?";
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}
