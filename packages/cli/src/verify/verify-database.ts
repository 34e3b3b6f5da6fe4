// `verify --against-database`: compares a database with its store and with this version's definitions.

import type { Store } from "@actions-archive/archive/store/store";
import type { VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import { PermanentError } from "@actions-archive/core/errors";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findIdentity } from "@actions-archive/database/ledger/identity";
import { dropLedgerTables, makeLedgerTables } from "@actions-archive/database/verify/expected-ledger";

import type { DatabaseCheck } from "./database-check.ts";
import { verifyDefinitions } from "./verify-definitions.ts";
import { verifyLedger } from "./verify-ledger.ts";
import { verifyRows } from "./verify-rows.ts";
import { verifySealedRows } from "./verify-sealed-rows.ts";

export type DatabaseRequest = {
  readonly db: Database;
  readonly store: Store;
  /** The result of the store's verification, to which findings are added. */
  readonly result: VerifyResult;
  /** The archive's seal interval. */
  readonly sealIntervalSeconds: number;
  readonly onJobs?: ((jobs: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
};

/**
 * Writes only temporary tables of its session.
 * @returns the number of jobs whose rows were compared.
 * @throws PermanentError `usage/invalid` when the database and the store belong to different archives.
 */
export async function verifyDatabase(request: DatabaseRequest): Promise<number> {
  const { db, store, result, sealIntervalSeconds } = request;
  const { head } = result.chain;
  const identity = await findIdentity(db);
  if (identity?.archive_id !== head?.archive_id)
    throw new PermanentError(
      "usage/invalid",
      `The database is of archive ${identity?.archive_id ?? "none"}, and ${store.url} of ${head?.archive_id ?? "none that can be trusted"}: set DATABASE_URL and ARCHIVE_URL to the same archive.`,
    );
  if (identity !== undefined && identity.host !== head?.host)
    result.findings.tamper("invalid", "archive.identity", `host is ${identity.host}, and ${head?.host} by the seals`);
  const sealedBefore = new Date(Date.parse(head?.sealed_at ?? "1970-01-01T00:00:00Z") - 2 * sealIntervalSeconds * 1000);
  const work = (session: Database) => verifySession({ ...request, db: session, sealedBefore });
  return db.isTransaction ? work(db) : db.connection().execute(work);
}

async function verifySession(request: Omit<DatabaseCheck, "names" | "removals">): Promise<number> {
  const { db } = request;
  await makeLedgerTables(db);
  try {
    const base = { ...request, names: new Map() };
    const check: DatabaseCheck = { ...base, removals: await verifySealedRows(base) };
    const jobs = await verifyRows(check);
    await verifyLedger(check);
    await verifyDefinitions(check);
    return jobs;
  } finally {
    // A lost session has lost its tables, and its error is reported anyway.
    await dropLedgerTables(db).catch(() => undefined);
  }
}
