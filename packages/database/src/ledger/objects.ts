// Objects that the loader knows to be in the store; each waits for one seal.

import { tryParseKey } from "@actions-archive/core/object-key";
import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { unnest } from "../connection/unnest.ts";

export type StoredObject = {
  /** Relative to the prefix of ARCHIVE_URL. */
  readonly key: string;
  /** Null if the store has no versions, or did not return one. */
  readonly version_id: string | null;
  /** Stored bytes. */
  readonly size: number;
  /** Of the stored bytes, lower-case hex. */
  readonly sha256: string;
};

const objectTypes = {
  object_key: "text",
  version_id: "text",
  size_bytes: "bigint",
  sha256: "text",
  repository_id: "bigint",
  run_id: "bigint",
  job_id: "bigint",
} as const;
type ObjectColumns = ReturnType<typeof columnsOf>;

/**
 * Records these objects for sealing. A known object stays as first recorded: if it differs today, it was changed, and the seal must
 * have the first hash. Idempotent.
 */
export async function recordObjects(trx: Database, objects: readonly StoredObject[]): Promise<void> {
  if (objects.length === 0) return;
  await sql`
    insert into archive.objects (object_key, version_id, size_bytes, sha256, repository_id, run_id, job_id)
    select object_key, version_id, size_bytes, sha256, repository_id, run_id, job_id
    from ${unnest<ObjectColumns>(objectTypes, distinctRows(objects))}
    on conflict (object_key) do nothing
  `.execute(trx);
}

/** Records objects of a seal in the store as sealed by it; of a key in two seals the first counts. Idempotent. */
export async function recordSealedObjects(trx: Database, sequence: number, objects: readonly StoredObject[]): Promise<void> {
  if (objects.length === 0) return;
  await sql`
    insert into archive.objects as known (object_key, version_id, size_bytes, sha256, repository_id, run_id, job_id, sealed_in)
    select object_key, version_id, size_bytes, sha256, repository_id, run_id, job_id, ${sequence}::bigint
    from ${unnest<ObjectColumns>(objectTypes, distinctRows(objects))}
    on conflict (object_key) do update set
      version_id = excluded.version_id,
      size_bytes = excluded.size_bytes,
      sha256 = excluded.sha256,
      sealed_in = excluded.sealed_in
    where known.sealed_in is null
  `.execute(trx);
}

/** Those of `keys` that are not recorded. */
export async function listUnknownKeys(db: Database, keys: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ key: string }>`
    select key from unnest(${sql.val(keys)}::text[]) as key
    where not exists (select from archive.objects where object_key = key)
  `.execute(db);
  return rows.map(({ key }) => key);
}

export type KnownObject = StoredObject & {
  /** The seal that contains it; null until that seal is published. */
  readonly sealed_in: number | null;
};

/** Recorded objects among `keys`; others are omitted. */
export async function findObjects(db: Database, keys: readonly string[]): Promise<KnownObject[]> {
  const { rows } = await sql<KnownObject>`
    select object_key as key, objects.version_id, size_bytes as size, objects.sha256, seals.sequence as sealed_in
    from archive.objects
    left join archive.seals on seals.sequence = objects.sealed_in and published_at is not null
    where object_key = any(${sql.val(keys)}::text[])
    order by object_key
  `.execute(db);
  return rows;
}

function columnsOf({ key, version_id, size, sha256 }: StoredObject) {
  return { object_key: key, version_id, size_bytes: size, sha256, ...idsOfKey(key) };
}

/** Ids parsed from the key; null for those that it does not have. */
export function idsOfKey(key: string): { repository_id: number | null; run_id: number | null; job_id: number | null } {
  const parsed = tryParseKey(key);
  const ids = parsed !== undefined && "run_id" in parsed ? parsed : undefined;
  return {
    repository_id: ids?.repository_id ?? null,
    run_id: ids?.run_id ?? null,
    job_id: ids !== undefined && "job_id" in ids ? ids.job_id : null,
  };
}

// Unique and sorted, so that two loaders that write the same keys wait for each other instead of deadlocking.
function distinctRows(objects: readonly StoredObject[]): ObjectColumns[] {
  const byKey = new Map(objects.map((object) => [object.key, columnsOf(object)]));
  return [...byKey.values()].toSorted((a, b) => (a.object_key < b.object_key ? -1 : 1));
}
