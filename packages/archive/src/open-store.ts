// Opens a store from settings: the scheme of ARCHIVE_URL selects the implementation.

import { ActionsArchiveError, ConfigError } from "@actions-archive/core/errors";

import { openFolderForReading, openFolderStore } from "./store/folder/folder-store.ts";
import { assertKey, type Store, type StoreCapabilities } from "./store/store.ts";

/** The settings of the same names, parsed by core/settings. */
export type StoreSettings = {
  readonly ARCHIVE_URL: URL;
  readonly S3_ENDPOINT?: URL | undefined;
  readonly S3_FORCE_PATH_STYLE?: boolean | undefined;
  readonly S3_OBJECT_LOCK_MODE?: "GOVERNANCE" | "COMPLIANCE" | undefined;
  readonly S3_OBJECT_LOCK_DAYS?: number | undefined;
  readonly S3_KMS_KEY_ID?: string | undefined;
};

/**
 * Opens the store that ARCHIVE_URL names. Sends no request to S3: call `probeStore` before the first put.
 * @throws ConfigError when the URL names no store, or a folder that cannot be created or written.
 */
export async function openStore(settings: StoreSettings): Promise<Store> {
  const url = settings.ARCHIVE_URL;
  return url.protocol === "file:" ? refuseWithCure(url.href, () => openFolderStore(url)) : openBucket(settings);
}

/**
 * Like `openStore`, for read-only use: a folder is neither created nor cleaned up, so a copy on a read-only file system works.
 * @throws ConfigError when the URL names no store. @throws PermanentError `store/refused` when the folder does not exist.
 */
export async function openStoreForReading(settings: StoreSettings): Promise<Store> {
  const url = settings.ARCHIVE_URL;
  return url.protocol === "file:" ? openFolderForReading(url) : openBucket(settings);
}

async function openBucket(settings: StoreSettings): Promise<Store> {
  const url = settings.ARCHIVE_URL;
  if (url.protocol !== "s3:" || url.hostname === "")
    throw new ConfigError(`ARCHIVE_URL ${url.href} must be s3://bucket/prefix or file:///path.`);
  const prefix = url.pathname.replace(/^\/+|\/+$/g, "");
  if (prefix !== "") refusePrefix(prefix);
  const { S3_OBJECT_LOCK_MODE: mode, S3_OBJECT_LOCK_DAYS: days } = settings;
  if ((mode === undefined) !== (days === undefined))
    throw new ConfigError("Set S3_OBJECT_LOCK_MODE and S3_OBJECT_LOCK_DAYS together, or neither.");
  // Loaded on demand: the SDK takes half of a small process's memory and start-up time, and a folder does not need it.
  const [{ createS3Client }, { openS3Store }] = await Promise.all([
    import("./store/s3/client.ts"),
    import("./store/s3/s3-store.ts"),
  ]);
  return openS3Store({
    url: url.href,
    client: createS3Client({ endpoint: settings.S3_ENDPOINT, forcePathStyle: settings.S3_FORCE_PATH_STYLE }),
    bucket: url.hostname,
    prefix,
    protection: { lock: mode && days ? { mode, days } : undefined, kmsKeyId: settings.S3_KMS_KEY_ID },
  });
}

/**
 * Probes what the store enforces by writing a few bytes under `probe/`. Later calls of `put` rely on the result. Idempotent.
 * @throws ConfigError with the reason and the remedy when the store cannot be reached, written or read.
 */
export async function probeStore(store: Store): Promise<StoreCapabilities> {
  return refuseWithCure(store.url, () => store.probe());
}

async function refuseWithCure<T>(url: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    if (!(error instanceof ActionsArchiveError)) throw error;
    throw new ConfigError(`The store of ARCHIVE_URL ${url} cannot be used. ${error.message}`, { cause: error });
  }
}

function refusePrefix(prefix: string): void {
  try {
    assertKey(prefix);
  } catch (error) {
    throw new ConfigError(`The prefix of ARCHIVE_URL, ${prefix}, may contain only letters, digits, . _ - and /.`, {
      cause: error,
    });
  }
}
