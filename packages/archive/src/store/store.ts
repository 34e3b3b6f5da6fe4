// The store's interface: a flat namespace of objects that are created once, read, listed, and never replaced. A folder and S3
// implement it and pass one test suite.

import { PermanentError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";

/** Bytes in memory, or a file of exactly `sizeBytes` that does not change until `put` settles. */
export type StoredBody = Buffer | { readonly path: string; readonly sizeBytes: number };

export type PutOptions = {
  /** SHA-256 of the body, lower-case hex. The store refuses a body with another hash. */
  readonly sha256: string;
  readonly contentType: string;
  /** Names in lower case with hyphens, values printable ASCII. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
};

export type ListedObject = { readonly key: string; readonly sizeBytes: number; readonly lastModified: Date };

/** A version of an object, or the delete marker that hides its earlier versions. */
export type ListedVersion = ListedObject & {
  readonly versionId?: string;
  /** Whether a read without a version id returns this version. */
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
  /** Set for an entry that is not an object: metadata without its object, or a device, pipe or socket. */
  readonly oddity?: "metadata" | "special file" | undefined;
};

export type ObjectInfo = ListedObject & {
  /** Empty if the store has none, for example in a copied folder. */
  readonly metadata: Readonly<Record<string, string>>;
  /** SHA-256 of the stored bytes, lower-case hex, if the store kept it. Only a hint, like metadata. */
  readonly sha256?: string;
  readonly versionId?: string;
};

export type PutOutcome =
  | { readonly kind: "created"; readonly versionId?: string }
  | { readonly kind: "exists"; readonly info: ObjectInfo };

export type RemoveOutcome =
  | { readonly kind: "removed" }
  /** It did not exist. */
  | { readonly kind: "absent" }
  /** The store has locked this version, until `until` if it reports a date. */
  | { readonly kind: "retained"; readonly until?: Date };

/** Byte offsets from 0; `end` is exclusive. */
export type ByteRange = { readonly start: number; readonly end: number };

/** What the store enforces, as found by the probe at the start. */
export type StoreCapabilities = {
  /** The store refuses a second put of a key. If it does not, `put` sends a HEAD first. */
  readonly conditionalPut: boolean;
  /** The store refuses a body that does not have the declared SHA-256. */
  readonly sha256: boolean;
  /** The store refuses a body that does not have the declared MD5. If it checks neither hash, `put` reads back what it wrote. */
  readonly contentMd5: boolean;
  /** New objects are locked against deletion, by the archive's settings or the bucket's defaults. */
  readonly objectLock: boolean;
  /** A put returns the id of the new version. */
  readonly versioned: boolean;
};

/**
 * Keys are relative to the prefix of `url`, and must pass `assertKey`. Every method throws TransientError `store/unavailable`
 * (after a few retries), or PermanentError `store/refused` when credentials, bucket or policy do not allow the call.
 */
export interface Store extends AsyncDisposable {
  /** As in ARCHIVE_URL: `s3://bucket/prefix` or `file:///path`. */
  readonly url: string;
  /** Undefined until `probe` has run; until then `put` relies on no capability and sends a HEAD first. */
  readonly capabilities: StoreCapabilities | undefined;
  /** Probes what the store enforces by writing under `probe/`, and sets `capabilities`. Idempotent. */
  probe(): Promise<StoreCapabilities>;
  /**
   * Creates the complete object durably, or returns the existing one. Never replaces an object. Idempotent: an earlier try whose
   * response was lost is recognised by its bytes and reported as `created`.
   */
  put(key: string, body: StoredBody, options: PutOptions): Promise<PutOutcome>;
  head(key: string): Promise<ObjectInfo | undefined>;
  /**
   * Reads a small object, or a range of one, into memory. Undefined when the object does not exist.
   * @throws PermanentError `store/corrupt` for more than `maxReadBytes(key)` bytes, without reading them.
   */
  read(key: string, range?: ByteRange, versionId?: string): Promise<Buffer | undefined>;
  /** Like `read`, as a stream that ends after exactly the expected bytes or throws. The caller must iterate it or break out of it. */
  open(key: string, range?: ByteRange, versionId?: string): Promise<AsyncIterable<Buffer> | undefined>;
  /**
   * Removes a log durably; no other object is ever removed. In a versioned store it removes one version, the named one or else the
   * latest, and creates no delete marker. Idempotent.
   * @throws PermanentError `store/refused` for a key that is not a log's, or without the right to delete.
   */
  remove(key: string, versionId?: string): Promise<RemoveOutcome>;
  /** Lists the objects whose keys begin with `prefix` (any text, "" for all), in byte order of the keys, only keys after `after`. */
  list(prefix: string, after?: string): AsyncIterable<ListedObject>;
  /**
   * Like `list`, with all versions and delete markers of a key in succession, and with foreign entries: a folder also lists files whose
   * keys `assertKey` refuses. Undefined if the store cannot list versions.
   */
  listVersions(prefix: string): Promise<AsyncIterable<ListedVersion> | undefined>;
}

/**
 * Checks that `key` is safe. Keys consist of ids, so any other character indicates a bug or an attack.
 * @throws PermanentError for characters outside A-Z a-z 0-9 . _ / -, for empty segments, and for segments that begin with a dot.
 */
export function assertKey(key: string): void {
  const isSafe = /^[A-Za-z0-9._/-]+$/.test(key) && key.length <= 900;
  // The leading dot excludes "." and "..", and the temporary and metadata files of a folder store.
  if (isSafe && key.split("/").every((segment) => segment !== "" && !segment.startsWith("."))) return;
  throw new PermanentError(
    "store/refused",
    `Refused the object key ${JSON.stringify(key.slice(0, 200))}: keys consist of ids only. Report this.`,
  );
}

/** Checks that `key` is a log's: records, seals and the identity are never removed. @throws PermanentError for any other key. */
export function assertLogKey(key: string): void {
  assertKey(key);
  if (tryParseKey(key)?.kind === "log") return;
  throw new PermanentError("store/refused", `Refused to remove ${key}: only logs are ever removed. Report this.`);
}

export function sizeOf(body: StoredBody): number {
  return Buffer.isBuffer(body) ? body.length : body.sizeBytes;
}

const mebibyte = 1024 ** 2;

/**
 * The maximum number of bytes that `read` takes into memory, by the kind of key: anyone who can write to the bucket can store
 * gigabytes. A record has a few KiB, but its job object comes from a response of at most 64 MiB. A seal of 50,000 entries with the
 * longest keys and full lists has 60 MiB, a run record of 10,000 jobs about 100 MiB.
 */
export function maxReadBytes(key: string): number {
  const kind = tryParseKey(key)?.kind;
  if (kind === "identity") return 64 * 1024;
  if (kind === "seal") return 128 * mebibyte;
  return (kind === "run" ? 256 : 64) * mebibyte;
}

/** @throws PermanentError `store/corrupt` when the object `name` has more than `maxBytes`. */
export function assertReadable(name: string, sizeBytes: number, maxBytes: number): void {
  if (sizeBytes <= maxBytes) return;
  throw new PermanentError(
    "store/corrupt",
    `${name} has ${sizeBytes} bytes, more than the ${maxBytes} that its kind may have: it was not read. Find out who wrote it.`,
  );
}

/** True for an object with wrong content, which another read will not change. */
export function isCorrupt(error: unknown): error is PermanentError {
  return error instanceof PermanentError && error.code === "store/corrupt";
}

/** Concatenates the chunks of a stream. */
export async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}
