// Seals what has no seal yet: prepared in one transaction, put once, published. After a crash in between, the next call completes the
// seal with the same bytes.

import { createHash, type KeyObject } from "node:crypto";

import {
  type Correction,
  makeSeal,
  maxSealEntries,
  noPreviousSeal,
  Seal,
  type SealOperator,
} from "@actions-archive/archive/seal/seal";
import { signSeal } from "@actions-archive/archive/seal/seal-envelope";
import { keyIdOf, type Signer } from "@actions-archive/archive/seal/seal-key";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { ConfigError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";
import { actorOf, type Ascription } from "@actions-archive/database/connection/actor";
import { withLock } from "@actions-archive/database/connection/locks";
import type { SealContent } from "@actions-archive/database/seal/seal-content";
import {
  isSealDue,
  type MadeSeal,
  type PreparedSeal,
  prepareSeal,
  publishSeal,
  type SealHead,
} from "@actions-archive/database/seal/seals";

import type { Loader } from "../loader.ts";
import { recordOrphanLogs } from "../rows/record-objects.ts";
import { adoptSeals } from "./adopt-seals.ts";

export type Sealer = Loader & { readonly archiveId: string; readonly signer: Signer };

export type SealOptions = {
  /** Undefined: now, whether or not a seal is due. */
  readonly intervalSeconds?: number | undefined;
  /** The key that signs the seals after the next one. */
  readonly nextKey?: KeyObject | undefined;
  /** Of earlier seals, which stay unchanged. */
  readonly corrections?: readonly Correction[] | undefined;
  /** Who requests the next key or the corrections, and why. */
  readonly ascription?: Ascription | undefined;
};

export type PublishedSeal = {
  readonly sequence: number;
  readonly sha256: string;
  /** False if a prepared seal that a crash had left was published first: it has neither `nextKey` nor the corrections. */
  readonly hasRequestedContent: boolean;
};

/**
 * Publishes one seal, if one is due. Safe to repeat after a crash, and for two concurrent loaders: each sequence number has one seal.
 * @returns the seal that is in the store now; undefined if none was due, another loader is sealing, or its seal took the number.
 * @throws ConfigError if another key than the signer's is due. PermanentError `store/corrupt` if the store has a foreign seal.
 */
export async function sealArchive(sealer: Sealer, options: SealOptions = {}): Promise<PublishedSeal | undefined> {
  // Two puts of one seal have the same bytes. A store that ignores conditions would keep both as versions, though, and a verifier would
  // question the second.
  return withLock(sealer.db, "sealing", () => sealAlone(sealer, options));
}

async function sealAlone(
  sealer: Sealer,
  { intervalSeconds, nextKey, corrections = [], ascription = {} }: SealOptions,
): Promise<PublishedSeal | undefined> {
  const { db, store, signer, log } = sealer;
  const request = { maxSealEntries, intervalSeconds };
  // Checked before any request to the store, since maintenance runs every half minute.
  if (!(await isSealDue(db, request))) return undefined;
  await recordOrphanLogs(sealer);
  const prepared = await prepareSeal(db, request, (content, previous) =>
    compose(sealer, { content, previous, nextKey, corrections, ascription }),
  );
  if (prepared === undefined) return undefined;
  assertKeyIsDue(prepared.key_id, signer);
  const { sequence, sha256 } = prepared;
  const object = await signSeal(prepared.payload, signer);
  if (!(await putSeal(sealer, prepared, object))) {
    await adoptSeals({ ...sealer, publicKey: signer.publicKey });
    return undefined;
  }
  await publishSeal(db, prepared);
  log.info({ sequence, sha256, objectKey: sealKey(sequence), store: store.url }, "sealed");
  const { next_key, corrections: carried = [] } = Seal.parse(JSON.parse(prepared.payload.toString("utf8")));
  const announces = nextKey === undefined || next_key?.key_id === keyIdOf(nextKey);
  return { sequence, sha256, hasRequestedContent: announces && carried.length === corrections.length };
}

/** @returns whether the store has `object` under the seal's key now. */
async function putSeal({ store }: Sealer, { sequence }: PreparedSeal, object: Buffer): Promise<boolean> {
  const key = sealKey(sequence);
  const sha256 = createHash("sha256").update(object).digest("hex");
  const outcome = await store.put(key, object, { sha256, contentType: "application/json" });
  return outcome.kind === "created" || (await store.read(key))?.equals(object) === true;
}

type NextSeal = {
  readonly content: SealContent;
  readonly previous: SealHead | undefined;
  readonly nextKey: KeyObject | undefined;
  readonly corrections: readonly Correction[];
  readonly ascription: Ascription;
};

function compose({ archiveId, host, signer }: Sealer, next: NextSeal): MadeSeal {
  const { content, previous, nextKey, corrections } = next;
  if (previous !== undefined) assertKeyIsDue(previous.due_key_id, signer);
  const operator = operatorOf(next);
  const seal = makeSeal({
    archive_id: archiveId,
    host,
    sequence: content.sequence,
    sealed_at: content.sealed_at.toISOString(),
    previous_sha256: previous?.sha256 ?? noPreviousSeal,
    key_id: signer.keyId,
    next_key: nextKey === undefined ? null : { key_id: keyIdOf(nextKey), public_key: derOf(nextKey) },
    entries: [...content.entries],
    ...changesOf(content),
    ...(corrections.length > 0 && { corrections: [...corrections] }),
    ...(operator && { operator }),
  });
  const payload = canonicalBytes(seal);
  return {
    payload,
    sha256: createHash("sha256").update(payload).digest("hex"),
    previous_sha256: seal.previous_sha256,
    key_id: signer.keyId,
    next_key_id: seal.next_key?.key_id ?? null,
    operator: operator ?? null,
  };
}

function operatorOf({ content, nextKey, corrections, ascription }: NextSeal): SealOperator | undefined {
  if (nextKey === undefined && corrections.length === 0) return undefined;
  const { by, reason = null } = ascription;
  return { ...actorOf(by), database_user: content.database_user, reason };
}

type Changes = "ledger" | "tombstones" | "holds" | "policies" | "damages" | "removals" | "retries" | "backfills";

function changesOf(content: SealContent): Pick<Seal, Changes> {
  return {
    ledger: {
      windows: content.windows.map(({ window_start, window_end, ...window }) => ({
        ...window,
        window_start: window_start.toISOString(),
        window_end: window_end.toISOString(),
      })),
      windows_left_out: content.windows_left_out,
      attempts: content.attempts.map(({ run_created_at, ...attempt }) => ({
        ...attempt,
        run_created_at: run_created_at.toISOString(),
      })),
      attempts_left_out: content.attempts_left_out,
      full_seconds: content.full_seconds.map(({ repository_id, second_start }) => ({
        repository_id,
        second_start: second_start.toISOString(),
      })),
      full_seconds_left_out: content.full_seconds_left_out,
      open_obligations: content.open_obligations,
      gaps: content.gaps,
    },
    tombstones: content.tombstones.map(({ decided_at, ...tombstone }) => ({
      ...tombstone,
      decided_at: decided_at.toISOString(),
    })),
    holds: content.holds.map(({ changed_at, ...hold }) => ({ ...hold, changed_at: changed_at.toISOString() })),
    policies: content.policies.map(({ changed_at, ...policy }) => ({ ...policy, changed_at: changed_at.toISOString() })),
    damages: content.damages.map(({ found_at, ...damage }) => ({ ...damage, found_at: found_at.toISOString() })),
    ...removalsOf(content),
    ...actsOf(content),
  };
}

// Omitted instead of empty, so that a seal without removals keeps the bytes of versions without this list.
function removalsOf({ removals }: SealContent): Pick<Seal, "removals"> {
  if (removals.length === 0) return {};
  return {
    removals: removals.map(({ runs_before, removed_at, ...counts }) => ({
      ...counts,
      runs_before: runs_before.toISOString(),
      removed_at: removed_at.toISOString(),
    })),
  };
}

// As in `removalsOf`.
function actsOf({ retries, backfills }: SealContent): Pick<Seal, "retries" | "backfills"> {
  return {
    ...(retries.length > 0 && {
      retries: retries.map(({ retried_at, ...retry }) => ({ ...retry, retried_at: retried_at.toISOString() })),
    }),
    ...(backfills.length > 0 && {
      backfills: backfills.map(({ since, until, taken_at, ...step }) => ({
        ...step,
        since: since.toISOString(),
        until: until.toISOString(),
        taken_at: taken_at.toISOString(),
      })),
    }),
  };
}

function assertKeyIsDue(keyId: string, signer: Signer): void {
  if (keyId === signer.keyId) return;
  throw new ConfigError(
    `The next seal must be signed by key ${keyId}, and SEAL_KEY holds ${signer.keyId}: set SEAL_KEY to that key. To change the key, run \`seal --next-key FILE\` with the old one first.`,
  );
}

function derOf(key: KeyObject): string {
  return key.export({ type: "spki", format: "der" }).toString("base64");
}
