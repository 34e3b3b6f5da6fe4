// Opens a pool of Postgres connections with Kysely, and translates the driver's types and errors.

import { errorMessage } from "@actions-archive/core/error-message";
import { ConfigError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import { Kysely } from "kysely";
import pg from "pg";

import type { DB } from "../schema.ts";
import { translateDatabaseError } from "./failure.ts";
import { RowLockedDialect } from "./row-locked-dialect.ts";

export type Database = Kysely<DB>;

export type OpenDatabaseOptions = {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly maxConnections?: number;
  readonly log?: Logger;
};

export type OpenDatabase = AsyncDisposable & { readonly db: Database; readonly pool: pg.Pool };

/** Minimum version of BullMQ and of this program, which uses security_invoker views and `merge`. */
const oldestMajorVersion = 15;

const int8Oid = 20;
const int8ArrayOid = 1016;

/**
 * Opens a pool. bigint columns are returned as numbers: GitHub's ids and byte counts are far below 2^53, and a larger value throws.
 * Every session has timeouts, so that a lock or a lost client cannot block the pipeline.
 * @throws ConfigError if Postgres does not answer or is older than 15.
 */
export async function openDatabase({
  url,
  applicationName,
  maxConnections = 10,
  log,
}: OpenDatabaseOptions): Promise<OpenDatabase> {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max: maxConnections,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    types: {
      getTypeParser: (oid: number) => {
        if (oid === int8Oid) return parseInt8;
        const parse = pg.types.getTypeParser(oid);
        return oid === int8ArrayOid
          ? (text: string) => (parse(text) as (string | null)[]).map((id) => id && parseInt8(id))
          : parse;
      },
    },
    // JIT compilation of audit.coverage took 650 of 1,300 ms at 134,000 jobs, longer than its execution.
    options: "-c jit=off -c timezone=UTC -c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
  });
  // An idle client that loses its server emits 'error', which would end the process without a listener.
  let isClosing = false;
  // A server that stops at the same time closes connections that are closing anyway.
  pool.on("error", (error) => isClosing || log?.warn({ err: error }, "idle database connection lost"));
  pool.on("connect", (client) => client.on("error", (error: Error) => log?.debug({ err: error }, "database connection lost")));
  try {
    await checkServer(pool, url);
  } catch (error) {
    await pool.end();
    throw error;
  }
  const db = new Kysely<DB>({ dialect: new RowLockedDialect(pool) });
  return {
    db,
    pool,
    async [Symbol.asyncDispose]() {
      isClosing = true;
      await db.destroy();
    },
  };
}

/** Runs `use` in a transaction, or in the caller's if there is one. Translates the driver's errors. */
export async function transact<T>(db: Database, use: (trx: Database) => Promise<T>): Promise<T> {
  try {
    if (db.isTransaction) return await use(db);
    return await db.transaction().execute(use);
  } catch (error) {
    throw translateDatabaseError(error);
  }
}

async function checkServer(pool: pg.Pool, url: string): Promise<void> {
  const host = new URL(url).host;
  let version: number;
  try {
    const { rows } = await pool.query<{ server_version_num: string }>("show server_version_num");
    version = Number(rows[0]?.server_version_num);
  } catch (error) {
    throw new ConfigError(`DATABASE_URL: Postgres at ${host} does not answer: ${errorMessage(error)}`, { cause: error });
  }
  if (version < oldestMajorVersion * 10_000) {
    throw new ConfigError(
      `DATABASE_URL: Postgres at ${host} is version ${Math.floor(version / 10_000)}; ${oldestMajorVersion} or newer is needed`,
    );
  }
}

function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} does not fit a number`);
  return value;
}
