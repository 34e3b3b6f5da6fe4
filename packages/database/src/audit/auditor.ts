// A query as the auditor: who may read the views of schema audit, and nothing else.

import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { parseExactJson } from "@actions-archive/core/exact-json";
import type pg from "pg";

import { parseRecordText } from "../rows/record-text.ts";

export type Row = Readonly<Record<string, unknown>>;

/** The same rows in two forms, both of them Postgres's own: no number and no time passes through a type of JavaScript's. */
export type Answer = {
  /** In their order. A name may stand more than once; empty where there are no rows. */
  readonly columns: readonly string[];
  /** As to_json writes them in UTC. Numbers keep their digits: see `parseExactJson`. */
  readonly rows: readonly Row[];
  /** For each row and column what psql prints in UTC; null for null. */
  readonly texts: readonly (readonly (string | null)[])[];
};

/**
 * Runs one statement in a read-only transaction, as the auditor's role, with `audit` on the search path and a time-out of a
 * minute. The connection's own role must be a member of the auditor, as the owner and the writers are.
 * @param values are the statement's one parameter, an array: `($1)[1]`, `($1)[2]`, … are texts, whatever they hold.
 * @throws PermanentError `usage/invalid` with Postgres' own words when it refuses the statement.
 */
export async function answerAsAuditor(pool: pg.Pool, statement: string, values: readonly string[] = []): Promise<Answer> {
  const client = await pool.connect();
  try {
    await client.query("begin read only");
    const { rows: functions } = await client.query<{ exists: boolean }>(
      "select to_regprocedure('archive.answer_rows_as_auditor(text, text[])') is not null as exists",
    );
    if (!functions[0]?.exists) throw new Error("this database has no auditor, run `actions-archive migrate`, which says why");
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
    // Neither the transaction nor the connection is of any more use.
    client.release(true);
  }
}

/** As `answerAsAuditor`: the rows as JSON has them. */
export async function queryAsAuditor(pool: pg.Pool, statement: string, values: readonly string[] = []): Promise<readonly Row[]> {
  return (await answerAsAuditor(pool, statement, values)).rows;
}
