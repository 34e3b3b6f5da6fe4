// What all comparisons of a database with its store share.

import type { Store } from "@actions-archive/archive/store/store";
import type { VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import type { Database } from "@actions-archive/database/connection/open-database";

export type DatabaseCheck = {
  /** One session: the expected rows are in its temporary tables. */
  readonly db: Database;
  readonly store: Store;
  readonly result: VerifyResult;
  /** Rows that no seal carries and that are older than this should be in one. */
  readonly sealedBefore: Date;
  /** Removals of whole partitions by the owner, as the seals carry them. */
  readonly removals: { readonly horizon: Date | undefined; readonly jobs: number };
  /** By repository, the name in the newest object or seal that names it. */
  readonly names: Map<number, { readonly name: string; readonly at: Date }>;
  /** Called with the number of jobs that were compared so far. */
  readonly onJobs?: ((jobs: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** `archive.table id place`: what a finding calls a row. */
export function rowName(table: string, id: number | string, place = ""): string {
  return `archive.${table} ${id}${place === "" ? "" : ` ${place}`}`;
}

/** The columns of `expected` that `actual` has otherwise. @param by what says so. */
export function changesOf(
  actual: Readonly<Record<string, unknown>>,
  expected: Readonly<Record<string, unknown>>,
  by = "its record",
): string {
  const say = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, 80);
  return changedColumns(actual, expected)
    .map((name) => `${name} is ${say(actual[name])}, and ${say(expected[name])} by ${by}`)
    .join("; ");
}

export function changedColumns(actual: Readonly<Record<string, unknown>>, expected: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(expected).filter((name) => JSON.stringify(actual[name]) !== JSON.stringify(expected[name]));
}

/** Keeps the newest name of a repository that an object or a seal gives. */
export function addName(
  { names }: Pick<DatabaseCheck, "names">,
  { repository_id, repository }: { readonly repository_id: number; readonly repository: string },
  instant: string,
): void {
  const at = new Date(instant);
  const known = names.get(repository_id);
  if (known === undefined || known.at < at) names.set(repository_id, { name: repository, at });
}

/** True for a row that may wait for a seal: the newest one may have been prepared before it was committed. */
export function isYoung({ sealedBefore }: DatabaseCheck, at: Date | null): boolean {
  return at !== null && at >= sealedBefore;
}

/**
 * True where no seal that was read carries a row: it has none, or a later one.
 * @param newest of the seals that the database has, as of after the row was read.
 */
export function isUnsealed({ result }: DatabaseCheck, sealedIn: number | null, newest: number): boolean {
  return sealedIn === null || (sealedIn > (result.chain.head?.sequence ?? 0) && sealedIn <= newest);
}

/** Says how many rows of a table no seal carries as they are. */
export function reportWaiting({ result: { findings } }: DatabaseCheck, table: string, rows: number): void {
  if (rows > 0) findings.notice("unsealed", `archive.${table}`, `${rows} rows changed since the newest seal: not covered yet`);
}
