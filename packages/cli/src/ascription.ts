// The options --by and --reason of every command that changes what is kept.

import { PermanentError } from "@actions-archive/core/errors";
import type { Ascription } from "@actions-archive/database/connection/actor";
import { type Command, InvalidArgumentError } from "commander";

const maxName = 100;
const maxReason = 500;

export type AscriptionOptions = { by?: string; reason?: string };

/** Adds `--by`. Without it the operating system's login is recorded. */
export function addBy(command: Command): Command {
  return command.option("--by <name>", "who does this; default: your login", parseName);
}

/** Adds `--by` and `--reason`. */
export function addAscription(command: Command): Command {
  return addBy(command).option("--reason <text>", "why, for the auditor; it is sealed");
}

/** @throws PermanentError `usage/invalid` for a reason that is too long. */
export function ascriptionOf({ by, reason }: AscriptionOptions): Ascription {
  const why = reason?.trim() ?? "";
  if (why.length > maxReason)
    throw new PermanentError("usage/invalid", `The reason may have ${maxReason} characters at most, and has ${why.length}`);
  return { by, reason: why === "" ? null : why };
}

function parseName(text: string): string {
  const name = text.trim();
  if (name === "" || name.length > maxName) throw new InvalidArgumentError(`must be a name of 1 to ${maxName} characters`);
  return name;
}
