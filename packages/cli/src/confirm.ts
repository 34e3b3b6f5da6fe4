// Confirms irreversible actions on a terminal.

import { createInterface } from "node:readline/promises";

import { PermanentError } from "@actions-archive/core/errors";

import type { CommandContext } from "./command-context.ts";

/**
 * Prompts on the terminal and returns when the answer is `yes`. Prompts on stderr, so that stdout holds only the command's
 * output.
 * @param question without instructions how to answer.
 * @throws PermanentError `usage/invalid` for any other answer, or without a terminal: then `--yes` is required.
 */
export async function confirm({ stdin, stderr }: Pick<CommandContext, "stdin" | "stderr">, question: string): Promise<void> {
  if (!stdin.isTTY || !stderr.isTTY)
    throw new PermanentError("usage/invalid", `${question} Without a terminal this needs --yes. Nothing was changed`);
  using terminal = createInterface({ input: stdin, output: stderr });
  // The end of the input counts as an answer.
  const ended = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  const answer = await Promise.race([terminal.question(`${question} Type yes to continue: `), ended]);
  if (answer.trim() !== "yes") throw new PermanentError("usage/invalid", "The answer was not yes. Nothing was changed");
}
