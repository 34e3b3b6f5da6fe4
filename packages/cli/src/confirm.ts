// Asks a person before something that cannot be undone.

import { createInterface } from "node:readline/promises";

import { PermanentError } from "@actions-archive/core/errors";

import type { CommandContext } from "./command-context.ts";

/**
 * Asks on a terminal, and returns when the answer is `yes`. The question goes to stderr, so that stdout has the answer of the command alone.
 * @param question without the words that say how to answer.
 * @throws PermanentError `usage/invalid` when the answer is another one, or there is no terminal: then `--yes` is needed.
 */
export async function confirm({ stdin, stderr }: Pick<CommandContext, "stdin" | "stderr">, question: string): Promise<void> {
  if (!stdin.isTTY || !stderr.isTTY)
    throw new PermanentError("usage/invalid", `${question} Without a terminal this needs --yes. Nothing was changed`);
  using terminal = createInterface({ input: stdin, output: stderr });
  // The end of the input is an answer, too.
  const ended = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  const answer = await Promise.race([terminal.question(`${question} Type yes to go on: `), ended]);
  if (answer.trim() !== "yes") throw new PermanentError("usage/invalid", "The answer was not yes. Nothing was changed");
}
