// An S3 bucket, or what speaks like one, as a store. One PutObject an object, with its length, its hash and
// `If-None-Match: *`: nothing half-written, nothing replaced, and the server checks the bytes against the hash.

import { createHash } from "node:crypto";
import type { Readable } from "node:stream";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { retry } from "@actions-archive/core/retry";
import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3";

import { isNotFound, isTaken, s3Failure, statusOf } from "./s3-failure.ts";
import { probeBucket } from "./s3-probe.ts";
import { md5Of, type Protection, sendPut } from "./s3-put.ts";
import { removalCures, sendRemove } from "./s3-remove.ts";
import { knownVersion, listBucketVersions } from "./s3-versions.ts";
import {
  assertKey,
  assertLogKey,
  type ByteRange,
  collect,
  type ListedObject,
  type ListedVersion,
  type ObjectInfo,
  type PutOptions,
  type PutOutcome,
  type RemoveOutcome,
  type Store,
  type StoreCapabilities,
  type StoredBody,
  sizeOf,
} from "./store.ts";

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
          const outcome = created(VersionId);
          await this.#readBack(key, body, options, outcome);
          return outcome;
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
    return retry(async () => {
      const stream = await this.#openOnce(key, range, versionId);
      return stream && collect(stream);
    });
  }

  async open(key: string, range?: ByteRange, versionId?: string): Promise<AsyncIterable<Buffer> | undefined> {
    assertKey(key);
    return retry(() => this.#openOnce(key, range, versionId));
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

  // Where the store checks no hash at all, our own eyes must: a broken object stays as it is, and never counts as stored.
  async #readBack(key: string, body: StoredBody, options: PutOptions, { versionId }: { versionId?: string }): Promise<void> {
    if (!this.#capabilities || this.#capabilities.sha256 || this.#capabilities.contentMd5) return;
    if (await this.#hasBytes(key, versionId, options.sha256)) return;
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

  async #openOnce(
    key: string,
    range: ByteRange | undefined,
    versionId: string | undefined,
  ): Promise<AsyncIterable<Buffer> | undefined> {
    try {
      const found = await this.#client.send(
        new GetObjectCommand({
          Bucket: this.#bucket,
          Key: this.#prefix + key,
          ...(range ? { Range: `bytes=${range.start}-${range.end - 1}` } : {}),
          ...(versionId === undefined ? {} : { VersionId: versionId }),
        }),
      );
      const expected = range ? range.end - range.start : found.ContentLength;
      // Under Node the SDK's body is the response's own stream.
      const body = found.Body as Readable | undefined;
      if (body && found.ContentLength === expected) return this.#checkLength(key, body, expected ?? 0);
      body?.destroy();
      throw new PermanentError(
        "store/corrupt",
        `${this.#name(key)} gave ${found.ContentLength} bytes where ${expected} were asked for: it is shorter than its readers expect.`,
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (statusOf(error) === 416)
        throw new PermanentError("store/corrupt", `${this.#name(key)} is shorter than its readers expect.`, { cause: error });
      throw this.#failure(error, "Reading", key);
    }
  }

  async *#checkLength(key: string, body: Readable, expectedBytes: number): AsyncIterable<Buffer> {
    let bytes = 0;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw this.#failure(error, "Reading", key);
    }
    if (bytes !== expectedBytes)
      throw new TransientError(
        "store/unavailable",
        `${this.#name(key)} ended after ${bytes} of ${expectedBytes} bytes. It is tried again.`,
      );
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
    return this.#hasBytes(info.key, info.versionId, sha256);
  }

  async #hasBytes(key: string, versionId: string | undefined, sha256: string): Promise<boolean> {
    const hash = createHash("sha256");
    for await (const chunk of (await this.#openOnce(key, undefined, versionId)) ?? []) hash.update(chunk);
    return hash.digest("hex") === sha256;
  }

  #name(key: string): string {
    return `s3://${this.#bucket}/${this.#prefix}${key}`;
  }

  #failure(error: unknown, doing: string, key: string): Error {
    return s3Failure(error, `${doing} ${this.#name(key)}`);
  }
}

function created(versionId: string | undefined): Extract<PutOutcome, { kind: "created" }> {
  return { kind: "created", ...knownVersion(versionId) };
}
