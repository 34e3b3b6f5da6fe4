// Sends PutObject: one request with a known length and a checksum, never over an existing object.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";

import { PutObjectCommand, type PutObjectCommandInput, type PutObjectCommandOutput, type S3Client } from "@aws-sdk/client-s3";

import { type PutOptions, type StoredBody, sizeOf } from "../store.ts";

/** How long the store refuses to delete an object, and which KMS key encrypts it. */
export type Protection = {
  readonly lock?: { readonly mode: "GOVERNANCE" | "COMPLIANCE"; readonly days: number } | undefined;
  readonly kmsKeyId?: string | undefined;
};

export type PutRequest = {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly body: StoredBody;
  readonly options: PutOptions;
  readonly protection: Protection;
  /** In base64, for stores that do not check the SHA-256. */
  readonly contentMd5?: string | undefined;
};

/**
 * Sends one PutObject with `If-None-Match: *`. Throws the SDK's errors; after an error the object may or may not exist.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export async function sendPut(request: PutRequest): Promise<PutObjectCommandOutput> {
  const { client, bucket, key, body, options, protection, contentMd5 } = request;
  const failed = new AbortController();
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: openBody(body, failed),
    ContentLength: sizeOf(body),
    ContentType: options.contentType,
    ChecksumSHA256: Buffer.from(options.sha256, "hex").toString("base64"),
    IfNoneMatch: "*",
    ...(options.metadata ? { Metadata: { ...options.metadata } } : {}),
    ...(contentMd5 === undefined ? {} : { ContentMD5: contentMd5 }),
    ...protectionHeaders(protection),
  });
  // A signed body hash makes every store that checks signatures check the bytes, even if it ignores the checksum header.
  command.middlewareStack.add(
    (next) => (args) => {
      const { request: http } = args as { request?: { headers: Record<string, string> } };
      if (http) http.headers["x-amz-content-sha256"] = options.sha256;
      return next(args);
    },
    { step: "build", name: "signBodyHash" },
  );
  const signals = options.signal ? [failed.signal, options.signal] : [failed.signal];
  try {
    return await client.send(command, { abortSignal: AbortSignal.any(signals), requestTimeout: timeoutMs(sizeOf(body)) });
  } catch (error) {
    // Otherwise an unreadable spool file would be reported as an aborted request.
    throw failed.signal.aborted ? failed.signal.reason : error;
  } finally {
    if (!Buffer.isBuffer(command.input.Body)) (command.input.Body as Readable).destroy();
  }
}

// Aborts the request on a file error: the SDK waits indefinitely for a file that cannot be read or is too short.
function openBody(body: StoredBody, failed: AbortController): Buffer | Readable {
  if (Buffer.isBuffer(body)) return body;
  const file = createReadStream(body.path, { highWaterMark: 256 * 1024 });
  let bytes = 0;
  file.on("data", (chunk) => (bytes += chunk.length));
  file.on("error", (error) => failed.abort(error));
  file.on("end", () => {
    if (bytes !== body.sizeBytes) failed.abort(new Error(`${body.path} has ${bytes} bytes, not the declared ${body.sizeBytes}`));
  });
  return file.pause();
}

/** A minute, plus a second for each MiB. */
function timeoutMs(sizeBytes: number): number {
  return 60_000 + Math.ceil(sizeBytes / 1024 ** 2) * 1000;
}

function protectionHeaders({ lock, kmsKeyId }: Protection): Partial<PutObjectCommandInput> {
  return {
    ...(kmsKeyId === undefined ? {} : { ServerSideEncryption: "aws:kms", SSEKMSKeyId: kmsKeyId }),
    ...(lock === undefined
      ? {}
      : {
          ObjectLockMode: lock.mode,
          ObjectLockRetainUntilDate: new Date(Date.now() + lock.days * 24 * 60 * 60 * 1000),
        }),
  };
}

/** The body's MD5 in base64. Reads the body once. */
export async function md5Of(body: StoredBody): Promise<string> {
  const hash = createHash("md5");
  if (Buffer.isBuffer(body)) return hash.update(body).digest("base64");
  for await (const chunk of createReadStream(body.path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>)
    hash.update(chunk);
  return hash.digest("base64");
}
