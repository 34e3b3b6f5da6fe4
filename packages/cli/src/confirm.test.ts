// Confirmation of irreversible actions: only `yes` continues.

import { PassThrough } from "node:stream";

import { expect, test } from "vitest";

import type { CommandContext } from "./command-context.ts";
import { confirm } from "./confirm.ts";

function openTerminal(isTTY: boolean) {
  // Only these parts of a terminal's stream are used.
  const stdin = Object.assign(new PassThrough(), { isTTY }) as unknown as CommandContext["stdin"];
  const stderr = Object.assign(new PassThrough(), { isTTY }) as unknown as CommandContext["stderr"];
  return { stdin: Object.assign(stdin, { write: (text: string) => (stdin as unknown as PassThrough).push(text) }), stderr };
}

test("yes continues", async () => {
  const terminal = openTerminal(true);
  const confirmed = confirm(terminal, "Remove it for good?");
  terminal.stdin.write("yes\n");
  await expect(confirmed).resolves.toBeUndefined();
  const shown = (terminal.stderr as unknown as PassThrough).setEncoding("utf8").toArray();
  terminal.stderr.end();
  expect((await shown).join("")).toContain("Remove it for good? Type yes to continue: ");
});

test.each(["no\n", "\n", "y\n", "YES\n"])("the answer %j changes nothing", async (answer) => {
  const terminal = openTerminal(true);
  const confirmed = confirm(terminal, "Remove it for good?");
  terminal.stdin.write(answer);
  await expect(confirmed).rejects.toThrow("Nothing was changed");
});

test("a terminal that is closed changes nothing", async () => {
  const terminal = openTerminal(true);
  const confirmed = confirm(terminal, "Remove it for good?");
  (terminal.stdin as unknown as PassThrough).push(null);
  await expect(confirmed).rejects.toThrow("Nothing was changed");
});

test("without a terminal the action is refused, and --yes is named", async () => {
  await expect(confirm(openTerminal(false), "Remove it for good?")).rejects.toThrow("needs --yes");
});
