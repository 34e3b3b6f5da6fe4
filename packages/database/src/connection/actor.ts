// Who ran an operator's command: recorded with each act, and sealed with it.

import { userInfo } from "node:os";

import { errorMessage } from "@actions-archive/core/error-message";
import { sql } from "kysely";

/** Columns of every act; null if not recorded. */
export type Actor = {
  /** Person who is responsible: `--by`, else the operating system's login. */
  readonly by: string | null;
  readonly os_user: string | null;
  /** Login of the database connection, as Postgres reports it. */
  readonly database_user: string | null;
};

/** What an operator can state about an act. */
export type Ascription = {
  /** Undefined: the operating system's login. */
  readonly by?: string | undefined;
  readonly reason?: string | null | undefined;
};

/** The same columns for `unnest`. */
export const actorTypes = { by: "text", os_user: "text", database_user: "text" } as const;

/** The same columns for a select list. */
export const actorColumns = sql`by, os_user, database_user`;

/** What `database_user` holds: the login, which `set role` does not change. */
export const databaseUser = sql<string>`session_user::text`;

/** Login of the operating system's user who runs this process, or the user's number if it has no name, as in many containers. */
export function findOsUser(): string {
  try {
    return userInfo().username;
  } catch (error) {
    const number = process.getuid?.();
    if (number === undefined)
      throw new TypeError(`The operating system has no user for this process: ${errorMessage(error)}`, { cause: error });
    return String(number);
  }
}

/** The values of `by` and `os_user` for an act of this process. */
export function actorOf(by?: string): { readonly by: string; readonly os_user: string } {
  const os_user = findOsUser();
  return { by: by ?? os_user, os_user };
}
