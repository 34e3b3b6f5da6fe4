// The schema of a seal, one link of the chain: the hashes of new objects and the change of the ledger. seal-envelope.ts signs it.

import { createHash } from "node:crypto";

import { GitHubId } from "@actions-archive/core/ids";
import { z } from "zod";

import { canonicalBytes } from "../store/canonical-bytes.ts";
import { leafHash, merklePath, merkleRoot } from "./merkle.ts";

/** About 8 MB of payload with short keys: far below V8's maximum string length, since a seal is read in one piece. */
export const maxSealEntries = 50_000;
/** `previous_sha256` of the first seal. */
export const noPreviousSeal = "0".repeat(64);

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();
const instant = z.iso.datetime();

/** One object of the store at the time of the seal. */
export const SealEntry = z.strictObject({
  key: z.string().min(1).describe("relative to the prefix of ARCHIVE_URL"),
  version_id: z.string().nullable().describe("of the object, if the store has versions and reported it"),
  size: count.describe("stored bytes"),
  sha256: sha256.describe("of the stored bytes"),
});
export type SealEntry = z.output<typeof SealEntry>;

const ofRepository = { repository_id: GitHubId, repository: z.string().min(1).describe("owner/name when it was sealed") };

/**
 * The change of the ledger since the previous seal, and the open items when this one was prepared. It is the only source of these facts for
 * a rebuild. Lists are bounded; the next seal contains what was left out.
 */
export const LedgerChange = z.strictObject({
  windows: z
    .array(z.strictObject({ ...ofRepository, window_start: instant, window_end: instant }))
    .describe("spans of run created_at that are completely listed; half-open"),
  windows_left_out: count,
  attempts: z
    .array(
      z.strictObject({
        ...ofRepository,
        run_id: GitHubId,
        run_attempt: z.int().positive(),
        run_created_at: instant,
        state: z.enum(["open", "listed", "gone", "never_completed"]),
      }),
    )
    .describe("new attempts, and those whose state changed; each window comes with at least the runs known at its listing"),
  attempts_left_out: count,
  full_seconds: z
    .array(z.strictObject({ repository_id: GitHubId, second_start: instant }))
    .describe("all seconds, when sealed, for which GitHub lists only as many runs as its cap"),
  full_seconds_left_out: count,
  open_obligations: z.strictObject({ pending: count, failed: count }),
  gaps: z.record(z.string().min(1), count).describe("by the kinds of audit.gaps"),
});
export type LedgerChange = z.output<typeof LedgerChange>;

/** Who performed an action. Missing in entries that are older than these fields, null if it was not recorded. */
const actor = {
  by: z.string().min(1).nullable().optional().describe("the value of --by, else the operating system's login; loader: a policy"),
  os_user: z.string().min(1).nullable().optional().describe("login of the operating system's user"),
  database_user: z.string().min(1).nullable().optional().describe("session_user of the database connection"),
};

/** The removal of a log: from this seal on, its object may be missing. */
export const Tombstone = z.strictObject({
  key: z.string().min(1),
  version_id: z.string().nullable(),
  size: count,
  sha256: sha256.describe("of the stored bytes"),
  job_id: GitHubId,
  repository_id: GitHubId,
  cause: z.enum(["erase", "retention"]),
  reason: z.string().min(1).describe("in the operator's words, or the policy"),
  decided_at: instant,
  ...actor,
});
export type Tombstone = z.output<typeof Tombstone>;

/** A legal hold that was set or released. The last change of a job in the order of the chain applies. */
export const HoldChange = z.strictObject({
  job_id: GitHubId,
  is_held: z.boolean(),
  reason: z.string().nullable(),
  changed_at: instant,
  ...actor,
});
export type HoldChange = z.output<typeof HoldChange>;

export const PolicyChange = z.strictObject({
  name: z.string().min(1).describe("owner or owner/name, in lower case"),
  keep_days: z.int().positive().nullable().describe("null: its own policy was removed"),
  changed_at: instant,
  ...actor,
  reason: z.string().nullable().optional().describe("in the operator's words"),
});
export type PolicyChange = z.output<typeof PolicyChange>;

/** A failed log that an operator made due at once. */
export const Retry = z.strictObject({
  job_id: GitHubId,
  repository_id: GitHubId,
  failed_for: z.string().nullable().describe("the reason of its failure"),
  retried_at: instant,
  ...actor,
  reason: z.string().nullable().describe("in the operator's words"),
});
export type Retry = z.output<typeof Retry>;

export const BackfillStep = z.strictObject({
  backfill_id: z.int().positive(),
  step: z.enum(["begin", "pause", "resume", "cancel"]),
  asked_for: z.array(z.string()).describe("repositories and patterns, as the operator wrote them"),
  repository_ids: z.array(GitHubId).describe("of the repositories that these matched when it began"),
  since: instant,
  until: instant,
  taken_at: instant,
  ...actor,
  reason: z.string().nullable().describe("in the operator's words"),
});
export type BackfillStep = z.output<typeof BackfillStep>;

/** The operator who had a seal announce its next key or correct earlier seals. */
export const SealOperator = z.strictObject({
  by: z.string().min(1),
  os_user: z.string().min(1),
  database_user: z.string().min(1),
  reason: z.string().nullable().describe("in the operator's words"),
});
export type SealOperator = z.output<typeof SealOperator>;

/**
 * Runs that the owner removed from the database by dropping partitions; the store keeps their objects. The last entry with the same
 * `runs_before` in the order of the chain applies.
 */
export const Removal = z.strictObject({
  runs_before: instant.describe("runs created before it are no longer in the ledger"),
  removed_at: instant,
  runs: count.describe("number of removed runs"),
  jobs: count.describe("number of their jobs"),
  closed_gaps: count.describe("number of their attempts that had vanished or never completed"),
  database_user: actor.database_user,
});
export type Removal = z.output<typeof Removal>;

/** Damage that the archive's scrub found in an object of an earlier seal. */
export const Damage = z.strictObject({
  key: z.string().min(1),
  finding: z.enum(["missing", "damaged"]),
  found_at: instant,
  repaired_by: z.string().min(1).nullable().describe("key of a log with the same raw bytes that was downloaded again"),
});
export type Damage = z.output<typeof Damage>;

/**
 * Corrects the host of an earlier seal. The earlier seal is not changed: a verifier searches later seals for the correction and reports
 * both.
 */
export const Correction = z.strictObject({
  sequence: z.int().positive().describe("of the wrong seal"),
  sha256: sha256.describe("of its payload"),
  host: z.string().min(1).describe("as in the wrong seal"),
  correct_host: z.string().min(1).describe("the archive's"),
  reason: z.string().min(1).describe("in the operator's words"),
});
export type Correction = z.output<typeof Correction>;

export const Seal = z.strictObject({
  schema_version: z.literal(1),
  archive_id: z.uuid(),
  host: z.string().min(1),
  sequence: z.int().positive(),
  sealed_at: instant.describe("when it was prepared, from the database's clock"),
  previous_sha256: sha256.describe("of the previous seal's payload; 64 zeros in the first"),
  key_id: sha256.describe("of the key that signs this seal"),
  next_key: z
    .strictObject({ key_id: sha256, public_key: z.base64().min(1).describe("DER (SPKI)") })
    .nullable()
    .describe("the key that signs every seal after this one; null: the same key"),
  entries: z.array(SealEntry).max(maxSealEntries).describe("in ascending order of their keys' bytes and version ids, each once"),
  entries_root: sha256.describe("RFC 6962 root; a leaf is the canonical JSON of an entry"),
  ledger: LedgerChange,
  tombstones: z.array(Tombstone),
  holds: z.array(HoldChange),
  policies: z.array(PolicyChange),
  damages: z.array(Damage),
  // Optional, so that a seal without corrections keeps the bytes of earlier versions.
  corrections: z.array(Correction).min(1).optional().describe("only in a seal that corrects earlier ones"),
  removals: z.array(Removal).optional().describe("missing if there are none, and in seals older than this field"),
  retries: z.array(Retry).min(1).optional().describe("missing if there are none"),
  backfills: z.array(BackfillStep).min(1).optional().describe("missing if there are none"),
  operator: SealOperator.optional().describe("only in a seal with a next key or corrections"),
});
export type Seal = z.output<typeof Seal>;

/** A separately signed summary of a seal, so that the proof of one entry does not need up to 49,999 others. */
export const SealHead = z.strictObject({
  schema_version: z.literal(1),
  archive_id: z.uuid(),
  host: z.string().min(1),
  sequence: z.int().positive(),
  sealed_at: instant,
  previous_sha256: sha256,
  sha256: sha256.describe("of the payload of the seal"),
  key_id: sha256,
  entries: count,
  entries_root: sha256,
});
export type SealHead = z.output<typeof SealHead>;

export type NewSeal = Omit<Seal, "schema_version" | "entries_root">;

/** Sorts the entries and computes their root. @throws ZodError when the result is not a valid seal. */
export function makeSeal(seal: NewSeal): Seal {
  const entries = seal.entries.toSorted(compareEntries);
  return Seal.parse({ ...seal, schema_version: 1, entries, entries_root: rootOf(entries) });
}

/** The head of `seal`, whose payload is `payload`. */
export function headOf(seal: Seal, payload: Buffer): SealHead {
  const { schema_version, archive_id, host, sequence, sealed_at, previous_sha256, key_id, entries, entries_root } = seal;
  return {
    schema_version,
    archive_id,
    host,
    sequence,
    sealed_at,
    previous_sha256,
    key_id,
    entries: entries.length,
    entries_root,
    sha256: createHash("sha256").update(payload).digest("hex"),
  };
}

/** Hex RFC 6962 root of `entries` in the given order. */
export function rootOf(entries: readonly SealEntry[]): string {
  return merkleRoot(leavesOf(entries)).toString("hex");
}

/** Hex inclusion path of the entry at `index`, nearest first. @throws RangeError when there is no such entry. */
export function pathOf(entries: readonly SealEntry[], index: number): string[] {
  return merklePath(leavesOf(entries), index).map((hash) => hash.toString("hex"));
}

/** True if the entries are in order and unique. */
export function areInOrder(entries: readonly SealEntry[]): boolean {
  return entries.every((entry, index) => {
    const before = entries[index - 1];
    return before === undefined || compareEntries(before, entry) < 0;
  });
}

function leavesOf(entries: readonly SealEntry[]): Buffer[] {
  return entries.map((entry) => leafHash(canonicalBytes(entry)));
}

// In byte order, as stores list keys; an entry without a version comes first.
function compareEntries(a: SealEntry, b: SealEntry): number {
  return (
    Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) ||
    Buffer.compare(Buffer.from(a.version_id ?? ""), Buffer.from(b.version_id ?? ""))
  );
}
