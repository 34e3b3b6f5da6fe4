// Parses option values that several commands share.

import { parseSince } from "@actions-archive/core/settings";
import { InvalidArgumentError } from "commander";

/** A date, or days before now. @throws InvalidArgumentError */
export function parseInstant(text: string): Date {
  const instant = parseSince(text);
  if (instant === undefined) throw new InvalidArgumentError("must be a date such as 2026-01-31 or a number of days");
  return instant;
}

/** @throws InvalidArgumentError when it is not a positive whole number. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count === 0)
    throw new InvalidArgumentError("must be a whole number, 1 or more");
  return count;
}
