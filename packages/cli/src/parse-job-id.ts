// Parses a job's id as a command argument.

import { InvalidArgumentError } from "commander";

/** @throws InvalidArgumentError when it is not a positive whole number. */
export function parseJobId(text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(id) || id === 0)
    throw new InvalidArgumentError("must be a job's id, a whole number");
  return id;
}
