// An S3 bucket, or what speaks like one, as a store. One PutObject an object, with its length, its hash and
// `If-None-Match: *`: nothing half-written, nothing replaced, and the server checks the bytes against the hash.

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
import { removalCures, sendRemove } from "./remove.ts";
import { created, type Created, knownVersion, listBucketVersions } from "./versions.ts";

export type S3StoreOptions = {
  readonly url: string;
  readonly client: S3Client;
  readonly bucket: string;
  /** Without slashes at its ends; empty for none. */
  readonly prefix: string;
  readonly protection: Protection;
};

/** Closing it destroys `client`. */
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
    // After a try whose answer is unknown, what is there may be ours: only its bytes can tell.
    let isUnsettled = false;
    const settle = async (info: ObjectInfo): Promise<PutOutcome> =>
      isUnsettled && (await this.#holds(info, body, options)) ? created(info.versionId) : { kind: "exists", info };
    return retry(
      async () => {
        if (isUnsettled || !this.#capabilities?.conditionalPut) {
          const info = await this.#headOnce(key);
          if (info) return settle(info);
        }
        try {
          const { VersionId } = await this.#send(key, body, options, await this.#md5For(body));
          return await this.#checkAgain(key, body, options, created(VersionId));
        } catch (error) {
          options.signal?.throwIfAborted();
          if (isTaken(error)) {
            const info = await this.#headOnce(key);
            if (info) return settle(info);
          }
          isUnsettled = true;
          throw isTaken(error)
            ? new TransientError(
                "store/unavailable",
                `${this.#name(key)} is said to exist and cannot be seen. It is tried again.`,
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
    let unlike: Buffer | undefined;
    return retry(async () => {
      const answer = await this.#get(key, range, versionId, maxBytes);
      const bytes = answer && (await collect(answer.stream));
      // Not every store's ETag is an MD5: what comes twice alike is the object's own.
      if (bytes === undefined || range || isRequestedVersion(bytes, answer?.md5) || unlike?.equals(bytes)) return bytes;
      unlike = bytes;
      throw new TransientError(
        "store/unavailable",
        `${this.#name(key)} came with other bytes than its ETag tells. It is tried again.`,
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
        throw s3Failure(error, `Removing ${this.#name(key)}`, removalCures);
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
        // A store may not know StartAfter.
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

  /** Only for a store that does not check the SHA-256, or is not known to: it costs another reading of the body. */
  async #md5For(body: StoredBody): Promise<string | undefined> {
    return this.#capabilities?.sha256 ? undefined : md5Of(body);
  }

  // Where the store holds no condition, another writer's put may have come between our look and our put, or just after it: what is
  // there now counts. Where it checks no hash, our own eyes must: a broken object stays as it is, and never counts as stored.
  async #checkAgain(key: string, body: StoredBody, options: PutOptions, ours: Created): Promise<PutOutcome> {
    if (!this.#capabilities) return ours;
    const { conditionalPut, sha256, contentMd5 } = this.#capabilities;
    const isChecked = sha256 || contentMd5;
    if (conditionalPut && isChecked) return ours;
    if (!conditionalPut) {
      const info = await this.#headOnce(key);
      if (info && (info.versionId !== ours.versionId || info.sizeBytes !== sizeOf(body))) return { kind: "exists", info };
      if (info && isChecked) {
        const isOurs = ours.versionId !== undefined || (await this.#holds(info, body, options));
        return isOurs ? ours : { kind: "exists", info };
      }
    }
    if (await this.#hasBytes({ key, sizeBytes: sizeOf(body), ...ours }, options.sha256)) return ours;
    throw new PermanentError(
      "store/corrupt",
      `${this.#name(key)} was stored and does not hold the ${sizeOf(body)} bytes that were sent. Look at the store.`,
    );
  }

  async #headObject(key: string): Promise<HeadObjectCommandOutput | undefined> {
    try {
      return await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key, ChecksumMode: "ENABLED" }),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw this.#failure(error, "Looking at", key);
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
