import { Readable } from "node:stream";
import { text } from "node:stream/consumers";

import fc from "fast-check";
import { expect, test } from "vitest";

import { TerminalSafe, makeSafe, showControls, showLines } from "./terminal-safe.ts";

// Dangerous sequences consist of control characters.
/* oxlint-disable no-control-regex */
const dangerous = /[\u0000-\u0008\u000B-\u001A\u001C-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/;

test("colours, tabs and newlines pass; what moves the cursor or sets a title is shown", () => {
  expect(makeSafe("\u001B[36;1mok\u001B[0m\tx\n")).toBe("\u001B[36;1mok\u001B[0m\tx\n");
  expect(makeSafe("\u001B[2J\u001B]0;title\u0007")).toBe("^[[2J^[]0;title^G");
  expect(makeSafe("50%\r100%\b")).toBe("50%^M100%^H");
  expect(makeSafe("\u009B31m\u202Egnp.exe")).toBe("<U+009B>31m<U+202E>gnp.exe");
});

test("a table cell has no newline and no colour", () => {
  expect(showControls("a\n\u001B[31mb")).toBe("a^J^[[31mb");
});

test("for any text in any chunks, only newline, tab and colours pass", async () => {
  const nasty = fc
    .array(
      fc.constantFrom("\u001B", "[", "3", "1", ";", "m", "\r", "\u009B", "\u202E", "é", "x", "\n", "\n\uFEFF", "\uFEFF", "]0;"),
      { maxLength: 60 },
    )
    .map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(nasty, fc.integer({ min: 1, max: 7 }), async (input, size) => {
      const bytes = Buffer.from(input);
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const output = await text(Readable.from(chunks).pipe(new TerminalSafe()));
      const withoutColours = output.replaceAll(/\u001B\[[0-9;:]{0,32}m/g, "");
      expect(withoutColours).not.toMatch(dangerous);
      expect(withoutColours).not.toContain("\u001B");
      expect(output).toBe(makeSafe(input.replaceAll(/^\uFEFF+/gm, (marks, at: number) => (isLineStart(input, at) ? "" : marks))));
    }),
  );
});

/** `^` also matches after a carriage return. */
function isLineStart(log: string, at: number): boolean {
  return at === 0 || log[at - 1] === "\n";
}

test("byte order marks are omitted where the runner puts them, and shown elsewhere", async () => {
  const bytes = Buffer.from("\uFEFFone\n\uFEFF\uFEFFtwo\r\n\uFEFF\nth\uFEFFree\n\u001B[1m\uFEFFfour\n\uFEFF");
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    expect(await text(Readable.from(chunks).pipe(new TerminalSafe()))).toBe(
      "one\ntwo^M\n\nth<U+FEFF>ree\n\u001B[1m<U+FEFF>four\n",
    );
  }
});

test("in the program's own lines no colour of a name passes", () => {
  expect(showLines("Its steps are:\n  1  \u001B[8mhidden\n  2  Deploy\n")).toBe(
    "Its steps are:\n  1  ^[[8mhidden\n  2  Deploy\n",
  );
});
