// The runs of the store, in the order of their keys: two listings, of run records and of records, side by side. One listing of
// each, and all that tells of a run at once.

import type { Store } from "@actions-archive/archive/store/store";
import { tryParseKey } from "@actions-archive/core/object-key";

export type RunKeys = {
  readonly repository_id: number;
  readonly run_id: number;
  /** `repository_id/run_id/`: what its keys have in common, and where it stands in the order. */
  readonly path: string;
  readonly runKeys: readonly string[];
  readonly recordKeys: readonly string[];
};

type Found = { readonly key: string; readonly path: string; readonly repository_id: number; readonly run_id: number };

/** @param after the path of the run after which to begin; "" for the first. What is no record, by its key, is passed over. */
export async function* walkRuns(store: Store, host: string, after = ""): AsyncGenerator<RunKeys> {
  const listings = { run: list(store, `runs/${host}/`, after), record: list(store, `records/${host}/`, after) };
  let [run, record] = await Promise.all([next(listings.run), next(listings.record)]);
  while (run !== undefined || record !== undefined) {
    // Both listings are in the order of bytes, which is that of these paths: they hold ASCII alone.
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
  // Every key of the run `after` begins with its path, and `~` comes behind all that a key may hold.
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
