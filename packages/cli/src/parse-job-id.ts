// A job's id as an argument of a command.

import { InvalidArgumentError } from "commander";

/** @throws InvalidArgumentError when it is no whole number above 0. */
export function parseJobId(text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(id) || id === 0)
    throw new InvalidArgumentError("must be a job's id, a whole number");
  return id;
}
