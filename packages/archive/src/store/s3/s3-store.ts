// The store as a bucket of S3 or an S3-compatible server. Each object is put by one PutObject with length, hash and
// `If-None-Match: *`: it is complete, replaces nothing, and the server checks its bytes against the hash.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { retry } from "@actions-archive/core/retry";
import {
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3";

import { readFingerprint } from "../fingerprint.ts";
import {
  assertKey,
  assertLogKey,
  assertReadable,
  type ByteRange,
  collect,
  type ListedObject,
  type ListedVersion,
  maxReadBytes,
  type ObjectInfo,
  type PutOptions,
  type PutOutcome,
  type RemoveOutcome,
  type Store,
  type StoreCapabilities,
  type StoredBody,
  sizeOf,
} from "../store.ts";
import { isNotFound, isTaken, s3Failure } from "./failure.ts";
import { isRequestedVersion, sendGet } from "./get.ts";
import { probeBucket } from "./probe.ts";
import { md5Of, type Protection, sendPut } from "./put.ts";
import { removalRemedies, sendRemove } from "./remove.ts";
import { created, type Created, knownVersion, listBucketVersions } from "./versions.ts";

export type S3StoreOptions = {
  readonly url: string;
  readonly client: S3Client;
  readonly bucket: string;
  /** Without leading or trailing slashes; may be empty. */
  readonly prefix: string;
  readonly protection: Protection;
};

/** Opens the bucket as a store. Disposing the store destroys `client`. */
export function openS3Store(options: S3StoreOptions): Store {
  return new S3Store(options);
}

class S3Store implements Store {
  readonly url: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #protection: Protection;
  #capabilities: StoreCapabilities | undefined;

  constructor({ url, client, bucket, prefix, protection }: S3StoreOptions) {
    this.url = url;
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#protection = protection;
  }

  get capabilities(): StoreCapabilities | undefined {
    return this.#capabilities;
  }

  async probe(): Promise<StoreCapabilities> {
    const head = async (key: string) => {
      const found = await retry(() => this.#headObject(key));
      return found && { isLocked: found.ObjectLockMode !== undefined, ...knownVersion(found.VersionId) };
    };
    return (this.#capabilities = await probeBucket({
      send: (key, body, { sha256, contentMd5 }) => this.#send(key, body, { sha256, contentType: "text/plain" }, contentMd5),
      head,
      failure: (error, key) => this.#failure(error, "Writing", key),
      mustLock: this.#protection.lock !== undefined,
    }));
  }

  async put(key: string, body: StoredBody, options: PutOptions): Promise<PutOutcome> {
    assertKey(key);
    // After a put without a response, an existing object may be this one: only its bytes show it.
    let isOutcomeUnknown = false;
    const resolveExisting = async (info: ObjectInfo): Promise<PutOutcome> =>
      isOutcomeUnknown && (await this.#holds(info, body, options)) ? created(info.versionId) : { kind: "exists", info };
    return retry(
      async () => {
        if (isOutcomeUnknown || !this.#capabilities?.conditionalPut) {
          const info = await this.#headOnce(key);
          if (info) return resolveExisting(info);
        }
        try {
          const { VersionId } = await this.#send(key, body, options, await this.#md5For(body));
          return await this.#checkAgain(key, body, options, created(VersionId));
        } catch (error) {
          options.signal?.throwIfAborted();
          if (isTaken(error)) {
            const info = await this.#headOnce(key);
            if (info) return resolveExisting(info);
          }
          isOutcomeUnknown = true;
          throw isTaken(error)
            ? new TransientError(
                "store/unavailable",
                `${this.#name(key)} exists according to a put, but a HEAD does not find it. It is tried again.`,
                { cause: error },
              )
            : this.#failure(error, "Storing", key);
        }
      },
      { signal: options.signal },
    );
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    assertKey(key);
    return retry(() => this.#headOnce(key));
  }

  async read(key: string, range?: ByteRange, versionId?: string): Promise<Buffer | undefined> {
    assertKey(key);
    const maxBytes = maxReadBytes(key);
    if (range) assertReadable(`The range of ${this.#name(key)}`, range.end - range.start, maxBytes);
    let mismatched: Buffer | undefined;
    return retry(async () => {
      const answer = await this.#get(key, range, versionId, maxBytes);
      const bytes = answer && (await collect(answer.stream));
      // Not every store's ETag is an MD5, so two equal reads are accepted.
      if (bytes === undefined || range || isRequestedVersion(bytes, answer?.md5) || mismatched?.equals(bytes)) return bytes;
      mismatched = bytes;
      throw new TransientError(
        "store/unavailable",
        `The bytes of ${this.#name(key)} do not have the MD5 of its ETag. It is tried again.`,
      );
    });
  }

  async open(key: string, range?: ByteRange, versionId?: string): Promise<AsyncIterable<Buffer> | undefined> {
    assertKey(key);
    return (await retry(() => this.#get(key, range, versionId)))?.stream;
  }

  async remove(key: string, versionId?: string): Promise<RemoveOutcome> {
    assertLogKey(key);
    const isLocking = this.#protection.lock !== undefined || this.#capabilities?.objectLock === true;
    const place = { client: this.#client, bucket: this.#bucket, key: this.#prefix + key, versionId, isLocking };
    return retry(async () => {
      try {
        return await sendRemove(place);
      } catch (error) {
        throw s3Failure(error, `Removing ${this.#name(key)}`, removalRemedies);
      }
    });
  }

  async *list(prefix: string, after?: string): AsyncIterable<ListedObject> {
    if (prefix !== "") assertKey(prefix.replace(/\/$/, ""));
    let token: string | undefined;
    do {
      const page = await retry(() => this.#listOnce(prefix, { token, after }));
      for (const { Key: key, Size: sizeBytes, LastModified: lastModified } of page.Contents ?? []) {
        if (key === undefined || sizeBytes === undefined || lastModified === undefined) continue;
        // Some stores ignore StartAfter.
        if (after !== undefined && key <= this.#prefix + after) continue;
        yield { key: key.slice(this.#prefix.length), sizeBytes, lastModified };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async listVersions(prefix: string): Promise<AsyncIterable<ListedVersion> | undefined> {
    return listBucketVersions({
      client: this.#client,
      bucket: this.#bucket,
      prefix: this.#prefix,
      failure: (error) => this.#failure(error, "Listing the versions of", prefix),
      under: prefix,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  #send(key: string, body: StoredBody, options: PutOptions, contentMd5: string | undefined) {
    return sendPut({
      client: this.#client,
      bucket: this.#bucket,
      key: this.#prefix + key,
      body,
      options,
      protection: this.#protection,
      contentMd5,
    });
  }

  /** Only for a store that is not known to check the SHA-256, since it costs another read of the body. */
  async #md5For(body: StoredBody): Promise<string | undefined> {
    return this.#capabilities?.sha256 ? undefined : md5Of(body);
  }

  // If the store ignores If-None-Match, another writer's put may have come between the HEAD and the put, or right after it: the object
  // that exists now counts. If the store checks no hash, the bytes are read back: a broken object stays, but never counts as stored.
  async #checkAgain(key: string, body: StoredBody, options: PutOptions, own: Created): Promise<PutOutcome> {
    if (!this.#capabilities) return own;
    const { conditionalPut, sha256, contentMd5 } = this.#capabilities;
    const isChecked = sha256 || contentMd5;
    if (conditionalPut && isChecked) return own;
    if (!conditionalPut) {
      const info = await this.#headOnce(key);
      if (info && (info.versionId !== own.versionId || info.sizeBytes !== sizeOf(body))) return { kind: "exists", info };
      if (info && isChecked) {
        const isOwn = own.versionId !== undefined || (await this.#holds(info, body, options));
        return isOwn ? own : { kind: "exists", info };
      }
    }
    if (await this.#hasBytes({ key, sizeBytes: sizeOf(body), ...own }, options.sha256)) return own;
    throw new PermanentError(
      "store/corrupt",
      `${this.#name(key)} was stored but does not contain the ${sizeOf(body)} bytes that were sent. Check the store.`,
    );
  }

  async #headObject(key: string): Promise<HeadObjectCommandOutput | undefined> {
    try {
      return await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key, ChecksumMode: "ENABLED" }),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw this.#failure(error, "Checking", key);
    }
  }

  async #headOnce(key: string): Promise<ObjectInfo | undefined> {
    const found = await this.#headObject(key);
    return (
      found && {
        key,
        sizeBytes: found.ContentLength ?? 0,
        lastModified: found.LastModified ?? new Date(0),
        metadata: found.Metadata ?? {},
        ...(found.ChecksumSHA256 ? { sha256: Buffer.from(found.ChecksumSHA256, "base64").toString("hex") } : {}),
        ...knownVersion(found.VersionId),
      }
    );
  }

  #get(key: string, range: ByteRange | undefined, versionId: string | undefined, maxBytes = Infinity) {
    return sendGet({ client: this.#client, bucket: this.#bucket, key: this.#prefix + key, range, versionId, maxBytes });
  }

  async #listOnce(
    prefix: string,
    { token, after }: { readonly token: string | undefined; readonly after: string | undefined },
  ): Promise<ListObjectsV2CommandOutput> {
    try {
      return await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix + prefix,
          ...(token ? { ContinuationToken: token } : after === undefined ? {} : { StartAfter: this.#prefix + after }),
        }),
      );
    } catch (error) {
      throw this.#failure(error, "Listing", prefix);
    }
  }

  async #holds(info: ObjectInfo, body: StoredBody, { sha256 }: PutOptions): Promise<boolean> {
    if (info.sizeBytes !== sizeOf(body)) return false;
    if (info.sha256 !== undefined && this.#capabilities?.sha256) return info.sha256 === sha256;
    return this.#hasBytes(info, sha256);
  }

  async #hasBytes({ key, sizeBytes, versionId }: Pick<ObjectInfo, "key" | "sizeBytes" | "versionId">, sha256: string) {
    const expected = { size: sizeBytes, sha256 };
    const info = versionId === undefined ? {} : { info: { sizeBytes, versionId } };
    return (await readFingerprint(this, key, { expected, ...info }))?.sha256 === sha256;
  }

  #name(key: string): string {
    return `s3://${this.#bucket}/${this.#prefix}${key}`;
  }

  #failure(error: unknown, doing: string, key: string): Error {
    return s3Failure(error, `${doing} ${this.#name(key)}`);
  }
}
