// Lists the runs of the store in the order of their keys, by merging the listings of run records and records.

import type { Store } from "@actions-archive/archive/store/store";
import { tryParseKey } from "@actions-archive/core/object-key";

export type RunKeys = {
  readonly repository_id: number;
  readonly run_id: number;
  /** `repository_id/run_id/`: the common part of its keys, which also orders it. */
  readonly path: string;
  readonly runKeys: readonly string[];
  readonly recordKeys: readonly string[];
};

type Found = { readonly key: string; readonly path: string; readonly repository_id: number; readonly run_id: number };

/** @param after path of the run after which to begin; "" for the first. A key that is no record's is skipped. */
export async function* walkRuns(store: Store, host: string, after = ""): AsyncGenerator<RunKeys> {
  const listings = { run: list(store, `runs/${host}/`, after), record: list(store, `records/${host}/`, after) };
  let [run, record] = await Promise.all([next(listings.run), next(listings.record)]);
  while (run !== undefined || record !== undefined) {
    // Both listings are in byte order, which is that of these ASCII paths.
    const first = run === undefined || (record !== undefined && record.path < run.path) ? record : run;
    if (first === undefined) return;
    const { path, repository_id, run_id } = first;
    const [runKeys, recordKeys]: [string[], string[]] = [[], []];
    for (; run?.path === path; run = await next(listings.run)) runKeys.push(run.key);
    for (; record?.path === path; record = await next(listings.record)) recordKeys.push(record.key);
    yield { path, repository_id, run_id, runKeys, recordKeys };
  }
}

async function* list(store: Store, prefix: string, after: string): AsyncGenerator<Found> {
  // Every key of the run `after` begins with its path, and `~` sorts after any character of a key.
  for await (const { key } of store.list(prefix, after === "" ? undefined : `${prefix}${after}~`)) {
    const parsed = tryParseKey(key);
    if (parsed?.kind !== "run" && parsed?.kind !== "record") continue;
    const { repository_id, run_id } = parsed;
    yield { key, path: `${repository_id}/${run_id}/`, repository_id, run_id };
  }
}

async function next(listing: AsyncGenerator<Found>): Promise<Found | undefined> {
  const { value, done } = await listing.next();
  return done === true ? undefined : value;
}
