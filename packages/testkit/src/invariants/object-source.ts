// Lists and reads the objects of a store, independently of the project's own code.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";

import type { TestS3 } from "../test-s3.ts";

export type ObjectSource = {
  /** @returns every name, relative to the root; of a folder also those that are no keys. */
  readonly list: () => Promise<string[]>;
  readonly read: (key: string) => Promise<Buffer>;
};

/** @returns paths relative to `folder`, with slashes. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

/** A folder store with the root `path`. */
export function folderSource(path: string): ObjectSource {
  return { list: () => listFiles(path), read: (key) => readFile(join(path, key)) };
}

/** The objects of the bucket under the prefix. Dispose to close the connections. */
export function s3Source({ endpoint, region, bucket, prefix, accessKeyId, secretAccessKey }: TestS3): ObjectSource & Disposable {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  const root = `${prefix}/`;
  return {
    async list() {
      const keys: string[] = [];
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: root,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        );
        keys.push(...(page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key.slice(root.length)])));
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
      return keys;
    },
    async read(key) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: root + key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}
