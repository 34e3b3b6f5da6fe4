// Lists all versions and delete markers of a bucket. Only this listing shows that an object was overwritten or hidden.

import { retry } from "@actions-archive/core/retry";
import {
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3";

import type { ListedVersion, PutOutcome } from "../store.ts";
import { statusOf } from "./failure.ts";

export type VersionsRequest = {
  readonly client: S3Client;
  readonly bucket: string;
  /** The archive's prefix: empty, or with a trailing slash. Listed keys do not include it. */
  readonly prefix: string;
  /** Only keys that begin with this text are listed. */
  readonly under: string;
  readonly failure: (error: unknown) => Error;
};

/** Lists versions in key order; undefined if the server does not implement the call. @throws the result of `failure`. */
export async function listBucketVersions(request: VersionsRequest): Promise<AsyncIterable<ListedVersion> | undefined> {
  const first = await retry(() => listPage(request, undefined));
  if (first === undefined || (isEmpty(first) && (await hasObjects(request)))) return undefined;
  return listPages(request, first);
}

/** Omits the version id "null", which all versions of a bucket with suspended versioning have. */
export function knownVersion(versionId: string | undefined): { versionId?: string } {
  return versionId === undefined || versionId === "null" ? {} : { versionId };
}

export type Created = Extract<PutOutcome, { kind: "created" }>;

/** The outcome of a put that created `versionId`. */
export function created(versionId: string | undefined): Created {
  return { kind: "created", ...knownVersion(versionId) };
}

async function* listPages(request: VersionsRequest, first: ListObjectVersionsCommandOutput): AsyncIterable<ListedVersion> {
  for (let page: ListObjectVersionsCommandOutput | undefined = first; page !== undefined;) {
    yield* versionsOf(page, request.prefix);
    const before: ListObjectVersionsCommandOutput = page;
    page = before.IsTruncated ? await retry(() => listPage(request, before)) : undefined;
  }
}

function versionsOf(page: ListObjectVersionsCommandOutput, prefix: string): ListedVersion[] {
  const listed = [
    ...(page.Versions ?? []).map((version) => ({ ...version, isDeleteMarker: false })),
    ...(page.DeleteMarkers ?? []).map((marker) => ({ ...marker, Size: 0, isDeleteMarker: true })),
  ];
  // The server sorts by key, but the SDK returns versions and markers in two lists.
  return listed
    .map(({ Key = "", Size = 0, LastModified = new Date(0), VersionId, IsLatest = true, isDeleteMarker }) => ({
      key: decoded(page, Key).slice(prefix.length),
      sizeBytes: Size,
      lastModified: LastModified,
      ...knownVersion(VersionId),
      isLatest: IsLatest,
      isDeleteMarker,
    }))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

async function listPage(
  { client, bucket, prefix, under, failure }: VersionsRequest,
  before: ListObjectVersionsCommandOutput | undefined,
): Promise<ListObjectVersionsCommandOutput | undefined> {
  try {
    return await client.send(
      new ListObjectVersionsCommand({
        Bucket: bucket,
        Prefix: prefix + under,
        // A foreign key may contain characters that XML cannot express; unencoded, it would make the whole listing fail.
        EncodingType: "url",
        ...(before && { KeyMarker: decoded(before, before.NextKeyMarker ?? ""), VersionIdMarker: before.NextVersionIdMarker }),
      }),
    );
  } catch (error) {
    if (statusOf(error) === 501 || statusOf(error) === 405) return undefined;
    throw failure(error);
  }
}

// A server that does not implement the call may answer with an ordinary listing, which has no versions.
async function hasObjects({ client, bucket, prefix, under, failure }: VersionsRequest): Promise<boolean> {
  try {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix + under, MaxKeys: 1 }));
    return Contents.length > 0;
  } catch (error) {
    throw failure(error);
  }
}

function isEmpty({ Versions = [], DeleteMarkers = [] }: ListObjectVersionsCommandOutput): boolean {
  return Versions.length + DeleteMarkers.length === 0;
}

function decoded({ EncodingType }: ListObjectVersionsCommandOutput, text: string): string {
  return EncodingType === "url" ? decodeURIComponent(text.replaceAll("+", " ")) : text;
}
