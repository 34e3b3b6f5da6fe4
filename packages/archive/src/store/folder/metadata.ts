// Reads the metadata of a folder's objects. It is stored in files next to the objects, which a copy of the folder keeps.

import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { z } from "zod";

import type { ObjectInfo } from "../store.ts";
import { isErrno } from "./files.ts";

/** Names of the metadata files of the object at `path`. */
export async function listMetadata(path: string): Promise<string[]> {
  const start = `.${basename(path)}.`;
  const names = await readdir(dirname(path)).catch((error: unknown) => {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  });
  return names.filter((name) => name.startsWith(start) && /^[0-9a-f]{64}\.meta$/.test(name.slice(start.length)));
}

/** The metadata and hash with which the object at `path` was stored; no hash if its metadata is missing or belongs to other bytes. */
export async function readMetadata(path: string): Promise<Pick<ObjectInfo, "metadata" | "sha256">> {
  const start = `.${basename(path)}.`;
  const hashes = (await listMetadata(path)).map((name) => name.slice(start.length, -".meta".length));
  // A writer that loses a race and crashes leaves a second file; the hash of the object's bytes decides.
  const sha256 = hashes.length > 1 ? await hashFile(path) : hashes[0];
  if (sha256 === undefined || !hashes.includes(sha256)) return { metadata: {} };
  const text = await readOwn(join(dirname(path), `${start}${sha256}.meta`));
  return { metadata: parseMetadata(text), sha256 };
}

// Planted links are not followed, and the open of a planted pipe does not block.
async function readOwn(path: string): Promise<string> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    return (await file.stat()).isFile() ? await file.readFile("utf8") : "";
  } catch (error) {
    if (isErrno(error, "ELOOP", "ENXIO")) return "";
    throw error;
  }
}

// Damaged metadata counts as missing: it is only a hint, since the object's bytes can be hashed.
function parseMetadata(text: string): Record<string, string> {
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(text));
  } catch {
    return {};
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest("hex");
}
