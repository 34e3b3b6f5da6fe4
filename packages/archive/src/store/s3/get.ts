// Sends GetObject and validates the response. A truncating proxy or a stale cache can return a response that cannot be right; a HEAD
// then decides whether the object is corrupt or the read is retried.

import { createHash, getFips } from "node:crypto";
import type { Readable } from "node:stream";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { GetObjectCommand, type GetObjectCommandOutput, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";

import { assertReadable, type ByteRange } from "../store.ts";
import { isNotFound, s3Failure, statusOf } from "./failure.ts";

export type GetRequest = {
  readonly client: S3Client;
  readonly bucket: string;
  /** Includes the prefix. */
  readonly key: string;
  readonly range: ByteRange | undefined;
  readonly versionId: string | undefined;
  /** A larger response is refused without being read. */
  readonly maxBytes: number;
};

export type GetAnswer = {
  /** Ends after exactly the number of bytes in Content-Length, or throws. */
  readonly stream: AsyncIterable<Buffer>;
  /** MD5 of the whole object, in hex, if the store reports it. */
  readonly md5: string | undefined;
};

/**
 * Sends one GetObject. Undefined when the object does not exist.
 * @throws PermanentError `store/corrupt` when the HEAD confirms that the object is shorter than the range, or it has more than
 * `maxBytes`; TransientError when the response contradicts itself or the HEAD.
 */
export async function sendGet(request: GetRequest): Promise<GetAnswer | undefined> {
  const { client, bucket, key, range, versionId } = request;
  let found: GetObjectCommandOutput;
  try {
    found = await client.send(
      new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(range ? { Range: `bytes=${range.start}-${range.end - 1}` } : {}),
        ...(versionId === undefined ? {} : { VersionId: versionId }),
      }),
    );
  } catch (error) {
    if (isNotFound(error)) return undefined;
    if (range && statusOf(error) === 416) return checkRangeMismatch(request, range, "returned 416 for");
    throw s3Failure(error, `Reading ${nameOf(request)}`);
  }
  // Under Node.js the SDK's body is a Readable.
  const body = found.Body as Readable | undefined;
  const { ContentLength: length, ContentRange: place } = found;
  if (range && !(length === range.end - range.start && isPlace(place, range))) {
    body?.destroy();
    return checkRangeMismatch(request, range, `returned ${length} bytes (${place ?? "no Content-Range"}) for`);
  }
  if (body === undefined || length === undefined) {
    body?.destroy();
    throw new TransientError(
      "store/unavailable",
      `The response for ${nameOf(request)} has no Content-Length. It is tried again.`,
    );
  }
  if (length > request.maxBytes) body.destroy();
  assertReadable(nameOf(request), length, request.maxBytes);
  return { stream: checkLength(request, body, length), md5: md5OfEtag(found) };
}

/**
 * The ETag of an object that was put in one request is its MD5, unless it is encrypted with a KMS key.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
 */
function md5OfEtag({ ETag: etag = "", ServerSideEncryption: encryption }: GetObjectCommandOutput): string | undefined {
  if (encryption?.startsWith("aws:kms") || getFips() === 1) return undefined;
  return /^"?([0-9a-f]{32})"?$/.exec(etag)?.[1];
}

/** Whether `bytes` have the MD5 `md5`; true if `md5` is undefined. */
export function isRequestedVersion(bytes: Buffer, md5: string | undefined): boolean {
  return md5 === undefined || createHash("md5").update(bytes).digest("hex") === md5;
}

// Some stores omit Content-Range.
function isPlace(place: string | undefined, { start, end }: ByteRange): boolean {
  return place === undefined || place.startsWith(`bytes ${start}-${end - 1}/`);
}

async function checkRangeMismatch(request: GetRequest, { start, end }: ByteRange, what: string): Promise<undefined> {
  const sizeBytes = await headSize(request);
  if (sizeBytes === undefined) return undefined;
  if (sizeBytes < end)
    throw new PermanentError("store/corrupt", `${nameOf(request)} has ${sizeBytes} bytes, not at least the expected ${end}.`);
  throw new TransientError(
    "store/unavailable",
    `${nameOf(request)} ${what} bytes ${start} to ${end}, but has ${sizeBytes} bytes by its HEAD. It is tried again.`,
  );
}

async function headSize(request: GetRequest): Promise<number | undefined> {
  const { client, bucket, key, versionId } = request;
  try {
    const command = new HeadObjectCommand({
      Bucket: bucket,
      Key: key,
      ...(versionId === undefined ? {} : { VersionId: versionId }),
    });
    return (await client.send(command)).ContentLength ?? 0;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw s3Failure(error, `Checking ${nameOf(request)}`);
  }
}

async function* checkLength(request: GetRequest, body: Readable, expectedBytes: number): AsyncIterable<Buffer> {
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw s3Failure(error, `Reading ${nameOf(request)}`);
  }
  if (bytes !== expectedBytes)
    throw new TransientError(
      "store/unavailable",
      `The response for ${nameOf(request)} ended after ${bytes} of ${expectedBytes} bytes. It is tried again.`,
    );
}

function nameOf({ bucket, key }: GetRequest): string {
  return `s3://${bucket}/${key}`;
}
