import { PermanentError } from "@actions-archive/core/errors";
import { reasonOf } from "@actions-archive/core/reason-of";
// A query as the auditor: who may read the views of schema audit, and nothing else.
import type pg from "pg";

export type Row = Readonly<Record<string, unknown>>;

/**
 * Runs one statement in a read-only transaction, as the auditor's role, with `audit` on the search path and a time-out of a
 * minute. The extended protocol takes one statement alone, so that none can end the transaction and begin another.
 * @throws PermanentError `usage/invalid` with Postgres' own words when it refuses the statement.
 */
export async function queryAsAuditor(pool: pg.Pool, statement: string): Promise<Row[]> {
  const client = await pool.connect();
  try {
    await client.query("begin transaction read only");
    await client.query("set local role actions_archive_auditor");
    await client.query("set local search_path to audit");
    // pg's types do not know the option that its client has: https://node-postgres.com/apis/client#queryconfig
    const config: pg.QueryConfig & { queryMode: "extended" } = { text: statement, queryMode: "extended" };
    const { rows } = await client.query<Record<string, unknown>>(config);
    return rows;
  } catch (error) {
    throw new PermanentError("usage/invalid", `Postgres refuses the query: ${reasonOf(error)}`, { cause: error });
  } finally {
    // The connection may have been made anything by the statement: it is not used again.
    client.release(true);
  }
}
