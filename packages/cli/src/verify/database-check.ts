// The shared parts of the comparisons of a database with its store.

import type { Store } from "@actions-archive/archive/store/store";
import type { VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import type { Database } from "@actions-archive/database/connection/open-database";

export type DatabaseCheck = {
  /** One session, since the expected rows are in its temporary tables. */
  readonly db: Database;
  readonly store: Store;
  readonly result: VerifyResult;
  /** Unsealed rows older than this should be in a seal. */
  readonly sealedBefore: Date;
  /** Removals of whole partitions by the owner, as the seals carry them. */
  readonly removals: { readonly horizon: Date | undefined; readonly jobs: number };
  /** By repository, the name in the newest object or seal that names it. */
  readonly names: Map<number, { readonly name: string; readonly at: Date }>;
  /** Called with the number of jobs compared so far. */
  readonly onJobs?: ((jobs: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** `archive.table id place`: the name of a row in findings. */
export function rowName(table: string, id: number | string, place = ""): string {
  return `archive.${table} ${id}${place === "" ? "" : ` ${place}`}`;
}

/** Describes the columns in which `actual` differs from `expected`. @param by the source of `expected`. */
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

/** Records a repository's name, keeping the newest. */
export function addName(
  { names }: Pick<DatabaseCheck, "names">,
  { repository_id, repository }: { readonly repository_id: number; readonly repository: string },
  instant: string,
): void {
  const at = new Date(instant);
  const known = names.get(repository_id);
  if (known === undefined || known.at < at) names.set(repository_id, { name: repository, at });
}

/** Whether a row may still wait for a seal: the newest seal may have been prepared before the row was committed. */
export function isYoung({ sealedBefore }: DatabaseCheck, at: Date | null): boolean {
  return at !== null && at >= sealedBefore;
}

/**
 * Whether no seal that was read has a row: the row has none, or a later one.
 * @param newest sequence of the database's seals, read after the row.
 */
export function isUnsealed({ result }: DatabaseCheck, sealedIn: number | null, newest: number): boolean {
  return sealedIn === null || (sealedIn > (result.chain.head?.sequence ?? 0) && sealedIn <= newest);
}

/** Reports how many rows of a table changed since the newest seal. */
export function reportWaiting({ result: { findings } }: DatabaseCheck, table: string, rows: number): void {
  if (rows > 0) findings.notice("unsealed", `archive.${table}`, `${rows} rows changed since the newest seal: not covered yet`);
}
