// Seals periodically, even if nothing changed.

import { openSigner } from "@actions-archive/archive/seal/seal-key";
import { readFingerprint } from "@actions-archive/archive/store/fingerprint";
import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { archiveIdentityKey } from "@actions-archive/core/object-key";
import { runPeriodically } from "@actions-archive/core/run-periodically";
import type { Service } from "@actions-archive/core/service";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { hasUnloadedRecords } from "@actions-archive/database/ledger/log-jobs";
import { recordObjects } from "@actions-archive/database/ledger/objects";
import { findSealing, recordSealing } from "@actions-archive/database/seal/sealing";

import type { LoaderConfig } from "../config.ts";
import type { Loader } from "../loader.ts";
import { adoptSeals } from "./adopt-seals.ts";
import { sealArchive, type Sealer } from "./seal-archive.ts";

/** Maximum delay of a seal; two loaders check twice as often. */
const maxTurnMs = 30_000;
/** How long after a start a backlog of records delays a seal: a million jobs are loaded in that time. */
const maxCatchUpMs = 10 * 60_000;

export type OpenLoader = { readonly loader: Loader; readonly archiveId: string };
export type SealingConfig = Pick<LoaderConfig, "SEAL_KEY" | "SEAL_KEY_FILE" | "SEAL_INTERVAL_SECONDS">;

/**
 * Creates the function that seals with the configured key, after adopting seals of the store that the database lacks. Undefined without
 * a key: then nothing is sealed.
 * @throws ConfigError if the database belongs to another archive or host. PermanentError `store/corrupt` if the store's chain is not
 * the database's.
 */
export async function openSealer(config: SealingConfig, { loader, archiveId }: OpenLoader): Promise<Sealer | undefined> {
  const pem = config.SEAL_KEY ?? config.SEAL_KEY_FILE;
  if (pem === undefined) return undefined;
  const sealer = { ...loader, archiveId, signer: openSigner(pem) };
  // A seal of another host is permanent: every verification finds it.
  await claimIdentity(loader.db, { archive_id: archiveId, host: loader.host });
  await recordIdentity(loader);
  const adopted = await adoptSeals({ ...sealer, publicKey: sealer.signer.publicKey });
  if (adopted > 0) loader.log.warn({ seals: adopted, store: loader.store.url }, "seals of the store adopted");
  return sealer;
}

/** Seals what waits now, at the end of a pass, whatever the interval. Idempotent. A failure is recorded, as in periodic sealing. */
export async function sealPending(config: SealingConfig, open: OpenLoader): Promise<void> {
  const turn = makeTurn(config, open, async (sealer) => {
    while ((await findSealing(sealer.db)).unsealed_objects > 0 && (await sealArchive(sealer)) !== undefined);
    await sealWhatIsDue(config, sealer);
  });
  await turn();
}

/** Seals periodically until `resources` end it. Returns at once. */
export function startSealing(
  config: SealingConfig,
  open: OpenLoader,
  { log, resources }: Pick<Service, "log" | "resources">,
): void {
  if (config.SEAL_KEY === undefined && config.SEAL_KEY_FILE === undefined) {
    log.warn("SEAL_KEY not set, nothing is sealed");
    return;
  }
  const began = performance.now();
  const turn = makeTurn(config, open, async (sealer) => {
    // Objects stored while no loader ran are loaded first: otherwise the seal would lack them, and they would appear as foreign.
    if (performance.now() - began < maxCatchUpMs && (await hasUnloadedRecords(sealer.db))) return;
    await sealWhatIsDue(config, sealer);
  });
  void runPeriodically(resources, Math.min(maxTurnMs, config.SEAL_INTERVAL_SECONDS * 100), turn);
}

async function sealWhatIsDue({ SEAL_INTERVAL_SECONDS: intervalSeconds }: SealingConfig, sealer: Sealer): Promise<void> {
  while ((await sealArchive(sealer, { intervalSeconds })) !== undefined);
}

// A failure must not end the loader: it is recorded, shown in status and audit.gaps, and retried.
function makeTurn(config: SealingConfig, open: OpenLoader, seal: (sealer: Sealer) => Promise<void>): () => Promise<void> {
  const { db, log } = open.loader;
  const intervalSeconds = config.SEAL_INTERVAL_SECONDS;
  let sealer: Sealer | undefined;
  return async () => {
    try {
      sealer ??= await openSealer(config, open);
      if (sealer === undefined) return;
      await seal(sealer);
      await recordSealing(db, { keyId: sealer.signer.keyId, intervalSeconds, problem: null });
    } catch (error) {
      log.error({ err: error }, "sealing failed");
      await recordProblem(config, open, errorMessage(error));
      // A chain that differed from the store's is compared again, since an operator may have repaired it.
      if (error instanceof PermanentError) sealer = undefined;
    }
  };
}

async function recordProblem(config: SealingConfig, { loader: { db, log } }: OpenLoader, problem: string): Promise<void> {
  try {
    const { keyId } = openSigner(config.SEAL_KEY ?? config.SEAL_KEY_FILE ?? "");
    await recordSealing(db, { keyId, intervalSeconds: config.SEAL_INTERVAL_SECONDS, problem });
  } catch (error) {
    log.warn({ err: error }, "sealing problem not recorded");
  }
}

async function recordIdentity({ db, store }: Loader): Promise<void> {
  const read = await readFingerprint(store, archiveIdentityKey);
  if (read !== undefined) await recordObjects(db, [{ key: archiveIdentityKey, version_id: null, ...read }]);
}
