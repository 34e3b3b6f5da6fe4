// The store: a flat space of objects that are created once, read, listed, and never replaced. A folder and S3 implement it
// and pass one suite; nothing above this interface knows which of them it talks to.

import { PermanentError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";

/** What is to be stored: bytes in memory, or a file of exactly `sizeBytes` that stays as it is until `put` settles. */
export type StoredBody = Buffer | { readonly path: string; readonly sizeBytes: number };

export type PutOptions = {
  /** SHA-256 of the body, lower-case hex. The store refuses a body that does not have it. */
  readonly sha256: string;
  readonly contentType: string;
  /** Names in lower case with hyphens, values printable ASCII. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
};

export type ListedObject = { readonly key: string; readonly sizeBytes: number; readonly lastModified: Date };

/** A version of an object, or the mark that hides its earlier versions. */
export type ListedVersion = ListedObject & {
  readonly versionId?: string;
  /** The one that a reader gets who names no version. */
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
  /** What lies there and is no object: metadata without its object, or a device, pipe or socket. */
  readonly oddity?: "metadata" | "special file" | undefined;
};

export type ObjectInfo = ListedObject & {
  /** Empty where the store has none, for instance in a copied folder. */
  readonly metadata: Readonly<Record<string, string>>;
  /** SHA-256 of the stored bytes, lower-case hex, where the store has kept it: a hint, as metadata is. */
  readonly sha256?: string;
  readonly versionId?: string;
};

export type PutOutcome =
  | { readonly kind: "created"; readonly versionId?: string }
  | { readonly kind: "exists"; readonly info: ObjectInfo };

export type RemoveOutcome =
  | { readonly kind: "removed" }
  /** It was not there. */
  | { readonly kind: "absent" }
  /** The store has locked this version: until then, where it says until when. */
  | { readonly kind: "retained"; readonly until?: Date };

/** Bytes `start` to `end`, counted from 0; `end` is not included. */
export type ByteRange = { readonly start: number; readonly end: number };

/** What the start-up probe found this store to enforce. */
export type StoreCapabilities = {
  /** Two puts of one key: the second is refused by the store itself. Where it is not, `put` looks before it writes. */
  readonly conditionalPut: boolean;
  /** A body that does not have the announced SHA-256 is refused. */
  readonly sha256: boolean;
  /** A body that does not have the announced MD5 is refused. Where neither is, `put` reads back what it wrote. */
  readonly contentMd5: boolean;
  /** What is put is locked against deletion: by our settings, or by the bucket's own. */
  readonly objectLock: boolean;
  /** A put answers with the id of the version that it made. */
  readonly versioned: boolean;
};

/**
 * Keys are relative to the prefix of `url`, and must pass `assertKey`. Every method throws TransientError
 * `store/unavailable` (after a few tries of its own), or PermanentError `store/refused` when credentials, bucket or policy
 * are in the way.
 */
export interface Store extends AsyncDisposable {
  /** As in ARCHIVE_URL: `s3://bucket/prefix` or `file:///path`. */
  readonly url: string;
  /** Undefined until `probe` has run; until then `put` takes nothing for granted and looks before it writes. */
  readonly capabilities: StoreCapabilities | undefined;
  /** Writes under `probe/` to find out what the store enforces, and remembers it. Idempotent. */
  probe(): Promise<StoreCapabilities>;
  /**
   * Creates `key`, durably and whole, or tells what is there already. Never replaces. Safe to repeat: a try whose answer
   * was lost is recognised by its bytes and reported as `created`.
   */
  put(key: string, body: StoredBody, options: PutOptions): Promise<PutOutcome>;
  head(key: string): Promise<ObjectInfo | undefined>;
  /**
   * The whole object, or a range of it, in memory: for small things. Undefined when there is no such object.
   * @throws PermanentError `store/corrupt` for more than `maxReadBytes(key)`, of which nothing is read.
   */
  read(key: string, range?: ByteRange, versionId?: string): Promise<Buffer | undefined>;
  /** As `read`, as a stream that ends after exactly the promised bytes or throws. Iterate it, or break out of it. */
  open(key: string, range?: ByteRange, versionId?: string): Promise<AsyncIterable<Buffer> | undefined>;
  /**
   * Removes a log, durably: the one thing that ever goes. In a store with versions exactly one of them: the named one, else the
   * one that is seen under the key; never by a marker that hides it. Idempotent.
   * @throws PermanentError `store/refused` for a key that is no log's, and where the right to delete is not granted.
   */
  remove(key: string, versionId?: string): Promise<RemoveOutcome>;
  /** Every object whose key begins with `prefix` (any text, "" for all), in the order of their keys' bytes; those after `after`, where it is told. */
  list(prefix: string, after?: string): AsyncIterable<ListedObject>;
  /**
   * As `list`, with all versions and delete markers of a key one after the other, and with what lies in the archive's place without
   * being an object of it: a folder tells foreign files, whose keys `assertKey` refuses. Undefined where the store cannot say.
   */
  listVersions(prefix: string): Promise<AsyncIterable<ListedVersion> | undefined>;
}

/**
 * Keys are made of ids; whatever else arrives here is a bug or an attack.
 * @throws PermanentError for characters outside A-Z a-z 0-9 . _ / -, for empty segments, and for segments that begin with a dot.
 */
export function assertKey(key: string): void {
  const isSafe = /^[A-Za-z0-9._/-]+$/.test(key) && key.length <= 900;
  // A leading dot covers "." and "..", and keeps the folder's own files (temporary, metadata) out of every key's reach.
  if (isSafe && key.split("/").every((segment) => segment !== "" && !segment.startsWith("."))) return;
  throw new PermanentError(
    "store/refused",
    `Refused the object key ${JSON.stringify(key.slice(0, 200))}: keys are made of ids only. Report this.`,
  );
}

/** Records, seals and the identity are evidence, and stay. @throws PermanentError for a key that is no log's. */
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
 * What `read` takes into memory at most, by what the key is of: whoever can write the bucket can put gigabytes under it. A record
 * is some KiB; a job object comes out of an answer that GitHub may make 64 MiB long. A seal of 50,000 entries with the longest
 * keys and full lists is 60 MiB, a run record of 10,000 jobs some 100.
 */
export function maxReadBytes(key: string): number {
  const kind = tryParseKey(key)?.kind;
  if (kind === "identity") return 64 * 1024;
  if (kind === "seal") return 128 * mebibyte;
  return (kind === "run" ? 256 : 64) * mebibyte;
}

/** @throws PermanentError `store/corrupt` for more than `maxBytes`; `name` says of which object. */
export function assertReadable(name: string, sizeBytes: number, maxBytes: number): void {
  if (sizeBytes <= maxBytes) return;
  throw new PermanentError(
    "store/corrupt",
    `${name} has ${sizeBytes} bytes, and nothing of its kind has more than ${maxBytes}: it was not read. Find out who wrote it.`,
  );
}

/** The object is not what it should be: no other reading of it will be. */
export function isCorrupt(error: unknown): error is PermanentError {
  return error instanceof PermanentError && error.code === "store/corrupt";
}

/** Collects a stream that must have `sizeBytes` bytes. */
export async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}
