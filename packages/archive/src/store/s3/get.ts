// The one GetObject that this archive sends, and what is made of an answer that cannot be right: a proxy that cuts, a cache
// that is stale. Such an answer says nothing of the object; a HEAD decides, and what agrees with it is asked for again.

import { createHash, getFips } from "node:crypto";
import type { Readable } from "node:stream";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { GetObjectCommand, type GetObjectCommandOutput, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";

import { assertReadable, type ByteRange } from "../store.ts";
import { isNotFound, s3Failure, statusOf } from "./failure.ts";

export type GetRequest = {
  readonly client: S3Client;
  readonly bucket: string;
  /** With the prefix. */
  readonly key: string;
  readonly range: ByteRange | undefined;
  readonly versionId: string | undefined;
  /** An answer of more bytes is refused, unread. */
  readonly maxBytes: number;
};

export type GetAnswer = {
  /** Ends after exactly the promised bytes or throws. */
  readonly stream: AsyncIterable<Buffer>;
  /** Of the whole object, in hex, where the store tells it. */
  readonly md5: string | undefined;
};

/**
 * Sends one GetObject. Undefined when there is no such object.
 * @throws PermanentError `store/corrupt` when the object is shorter than the range, by its HEAD too, or has more than `maxBytes`;
 * TransientError when the answer contradicts itself or the HEAD.
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
    if (range && statusOf(error) === 416) return judgeRange(request, range, "says that it ends before");
    throw s3Failure(error, `Reading ${nameOf(request)}`);
  }
  // Under Node the SDK's body is the response's own stream.
  const body = found.Body as Readable | undefined;
  const { ContentLength: length, ContentRange: place } = found;
  if (range && !(length === range.end - range.start && isPlace(place, range))) {
    body?.destroy();
    return judgeRange(request, range, `gave ${length} bytes (${place ?? "no range"}) for`);
  }
  if (body === undefined || length === undefined) {
    body?.destroy();
    throw new TransientError("store/unavailable", `${nameOf(request)} came without a length. It is tried again.`);
  }
  if (length > request.maxBytes) body.destroy();
  assertReadable(nameOf(request), length, request.maxBytes);
  return { stream: checkLength(request, body, length), md5: md5Told(found) };
}

/**
 * An object that was put in one piece has its MD5 for an ETag, unless its bucket encrypts with a key of KMS.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
 */
function md5Told({ ETag: etag = "", ServerSideEncryption: encryption }: GetObjectCommandOutput): string | undefined {
  if (encryption?.startsWith("aws:kms") || getFips() === 1) return undefined;
  return /^"?([0-9a-f]{32})"?$/.exec(etag)?.[1];
}

/** Whether these bytes are those whose MD5 was told; true where none was. */
export function isRequestedVersion(bytes: Buffer, md5: string | undefined): boolean {
  return md5 === undefined || createHash("md5").update(bytes).digest("hex") === md5;
}

// Some stores leave the header out.
function isPlace(place: string | undefined, { start, end }: ByteRange): boolean {
  return place === undefined || place.startsWith(`bytes ${start}-${end - 1}/`);
}

async function judgeRange(request: GetRequest, { start, end }: ByteRange, what: string): Promise<undefined> {
  const sizeBytes = await headSize(request);
  if (sizeBytes === undefined) return undefined;
  if (sizeBytes < end)
    throw new PermanentError(
      "store/corrupt",
      `${nameOf(request)} has ${sizeBytes} bytes, not the ${end} that its readers expect.`,
    );
  throw new TransientError(
    "store/unavailable",
    `${nameOf(request)} ${what} bytes ${start} to ${end}, and has ${sizeBytes} by its HEAD. It is tried again.`,
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
    throw s3Failure(error, `Looking at ${nameOf(request)}`);
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
      `${nameOf(request)} ended after ${bytes} of ${expectedBytes} bytes. It is tried again.`,
    );
}

function nameOf({ bucket, key }: GetRequest): string {
  return `s3://${bucket}/${key}`;
}
