// Translates Postgres errors by SQLSTATE.

import { ActionsArchiveError, PermanentError, TransientError } from "@actions-archive/core/errors";

/** Classes that are transient: connection, resources, operator intervention, system, and lost races. */
const transientClasses = ["08", "53", "57", "58", "40", "55"];

/** Translates an error of the driver; returns any other value unchanged. */
export function translateDatabaseError(error: unknown): unknown {
  if (error instanceof ActionsArchiveError || !(error instanceof Error)) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) {
    if (transientClasses.includes(code.slice(0, 2)))
      return new TransientError("database/unavailable", `Postgres cannot work now (${code}): ${error.message}`, { cause: error });
    // Classes 22 and 23: Postgres refuses the values.
    if (code.startsWith("22") || code.startsWith("23"))
      return new PermanentError("database/refused", `Postgres refuses the row (${code}): ${error.message}`, { cause: error });
    return error;
  }
  const isConnection =
    code?.startsWith("E") === true || /Connection terminated|timeout exceeded|connection error/i.test(error.message);
  return isConnection
    ? new TransientError("database/unavailable", `Postgres does not answer: ${error.message || code}`, { cause: error })
    : error;
}
