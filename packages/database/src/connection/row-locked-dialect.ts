// Kysely's PostgreSQL dialect with a row lock around migrations, since any role can take and keep an advisory lock.

import { type DialectAdapter, type Kysely, type MigrationLockOptions, PostgresAdapter, PostgresDialect } from "kysely";
import pg from "pg";

class RowLockedAdapter extends PostgresAdapter {
  readonly #pool: pg.Pool;
  /** Holds the lock in a separate transaction: the migrator begins and ends its own. */
  #holder: pg.PoolClient | undefined;

  constructor(pool: pg.Pool) {
    super();
    this.#pool = pool;
  }

  override async acquireMigrationLock(_db: Kysely<any>, { lockTable, lockTableSchema, lockRowId }: MigrationLockOptions) {
    const table = [lockTableSchema ?? "public", lockTable].map((name) => pg.escapeIdentifier(name)).join(".");
    this.#holder = await this.#pool.connect();
    await this.#holder.query(
      "begin; set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0; set local lock_timeout = '1h'",
    );
    await this.#holder.query(`select from ${table} where id = $1 for update`, [lockRowId]);
  }

  override async releaseMigrationLock(): Promise<void> {
    const holder = this.#holder;
    this.#holder = undefined;
    // The lock ends with the connection, in any state.
    holder?.release(true);
  }
}

export class RowLockedDialect extends PostgresDialect {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    super({ pool });
    this.#pool = pool;
  }

  override createAdapter(): DialectAdapter {
    return new RowLockedAdapter(this.#pool);
  }
}
