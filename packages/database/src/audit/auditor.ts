// Runs a query as the auditor's role, which may only read the views of schema audit.

import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { parseExactJson } from "@actions-archive/core/exact-json";
import type pg from "pg";

import { parseRecordText } from "../rows/record-text.ts";

export type Row = Readonly<Record<string, unknown>>;

/** The same rows in two forms, both formatted by Postgres: no number or time passes through a JavaScript type. */
export type Answer = {
  /** In order. A name may occur more than once; empty without rows. */
  readonly columns: readonly string[];
  /** As to_json prints them in UTC. Numbers keep their digits: see `parseExactJson`. */
  readonly rows: readonly Row[];
  /** For each row and column what psql prints in UTC; null for null. */
  readonly texts: readonly (readonly (string | null)[])[];
};

/**
 * Runs one statement in a read-only transaction as the auditor's role, with `audit` as search path and a timeout of a minute. The
 * connection's own role must be a member of the auditor, as the owner and the writers are.
 * @param values the elements of the statement's one parameter, an array of text: `($1)[1]`, `($1)[2]`, …
 * @throws PermanentError `usage/invalid` with Postgres' message if it refuses the statement.
 */
export async function answerAsAuditor(pool: pg.Pool, statement: string, values: readonly string[] = []): Promise<Answer> {
  const client = await pool.connect();
  try {
    await client.query("begin read only");
    const { rows: functions } = await client.query<{ exists: boolean }>(
      "select to_regprocedure('archive.answer_rows_as_auditor(text, text[])') is not null as exists",
    );
    if (!functions[0]?.exists)
      throw new Error("this database has no auditor role: run `actions-archive migrate`, which reports why");
    const { rows } = await client.query<{ columns: string[]; answer: string; printed: string }>(
      "select columns, answer::text, printed from archive.answer_rows_as_auditor($1, $2)",
      [statement, values],
    );
    const columns = rows[0]?.columns ?? [];
    return {
      columns,
      rows: rows.map(({ answer }) => parseExactJson(answer) as Row),
      texts: rows.map(({ printed }) => parseRecordText(printed, columns.length)),
    };
  } catch (error) {
    throw new PermanentError("usage/invalid", `Postgres refuses the query: ${errorMessage(error)}`, { cause: error });
  } finally {
    // Neither the transaction nor the connection can be used again.
    client.release(true);
  }
}

/** Like `answerAsAuditor`, but only the JSON form. */
export async function queryAsAuditor(pool: pg.Pool, statement: string, values: readonly string[] = []): Promise<readonly Row[]> {
  return (await answerAsAuditor(pool, statement, values)).rows;
}
