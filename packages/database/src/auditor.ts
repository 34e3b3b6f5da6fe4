// A query as the auditor: who may read the views of schema audit, and nothing else.

import { PermanentError } from "@actions-archive/core/errors";
import { reasonOf } from "@actions-archive/core/reason-of";
import type pg from "pg";

export type Row = Readonly<Record<string, unknown>>;

/**
 * The statement runs inside a function that belongs to the auditor and has its rights: there Postgres lets nobody become
 * another role, by whatever means, and a loop over EXECUTE takes one statement that answers with rows, and no other.
 * https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
 */
const createFunction = `
  create function pg_temp.answer(statement text, bound text[]) returns setof json language plpgsql security definer as $$
  declare answer record;
  begin
    for answer in execute statement using bound loop
      return next to_json(answer);
    end loop;
  end $$`;

/**
 * Runs one statement in a read-only transaction, as the auditor's role, with `audit` on the search path and a time-out of a
 * minute. Rows as JSON has them, but for times, which are dates.
 * @param values are the statement's one parameter, an array: `($1)[1]`, `($1)[2]`, … are texts, whatever they hold.
 * @throws PermanentError `usage/invalid` with Postgres' own words when it refuses the statement.
 */
export async function queryAsAuditor(pool: pg.Pool, statement: string, values: readonly string[] = []): Promise<Row[]> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("set local role actions_archive_auditor");
    await client.query(createFunction);
    await client.query("set transaction read only");
    await client.query("set local search_path to audit");
    const { rows } = await client.query<{ answer: Row }>("select answer from pg_temp.answer($1, $2)", [statement, values]);
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
