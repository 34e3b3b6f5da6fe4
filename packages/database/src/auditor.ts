// A query as the auditor: who may read the views of schema audit, and nothing else.

import { PermanentError } from "@actions-archive/core/errors";
import { reasonOf } from "@actions-archive/core/reason-of";
import type pg from "pg";

export type Row = Readonly<Record<string, unknown>>;

/**
 * Runs one statement in a read-only transaction, as the auditor's role, with `audit` on the search path and a time-out of a
 * minute. The connection's own role must be a member of the auditor, as the owner and the writers are. Rows as JSON has them, but for times, which are dates.
 * @param values are the statement's one parameter, an array: `($1)[1]`, `($1)[2]`, … are texts, whatever they hold.
 * @throws PermanentError `usage/invalid` with Postgres' own words when it refuses the statement.
 */
export async function queryAsAuditor(pool: pg.Pool, statement: string, values: readonly string[] = []): Promise<Row[]> {
  const client = await pool.connect();
  try {
    await client.query("begin read only");
    const { rows: functions } = await client.query<{ exists: boolean }>(
      "select to_regprocedure('archive.answer_as_auditor(text, text[])') is not null as exists",
    );
    if (!functions[0]?.exists) throw new Error("this database has no auditor, run `actions-archive migrate`, which says why");
    const { rows } = await client.query<{ answer: Row }>("select answer from archive.answer_as_auditor($1, $2) as answer", [
      statement,
      values,
    ]);
    return rows.map(({ answer }) => withDates(answer));
  } catch (error) {
    throw new PermanentError("usage/invalid", `Postgres refuses the query: ${reasonOf(error)}`, { cause: error });
  } finally {
    // Neither the transaction nor the connection is of any more use.
    client.release(true);
  }
}

// How to_json writes a timestamptz in a session that speaks UTC.
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/;

function withDates(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === "string" && timePattern.test(value) ? new Date(value) : value,
    ]),
  );
}
