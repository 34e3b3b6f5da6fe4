// What the names in an archive's folder mean.

import type { Dirent } from "node:fs";

/** Unfinished writes live here; no key can lead here, because no key's segment begins with a dot. */
export const unfinishedFolder = ".unfinished";

/** What cannot be a key is not an object: metadata, unfinished writes, strangers. */
export function isPartOfKey(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name);
}

/** Strangers too, but not the store's own files: metadata is a stranger where its object is not among `names`. */
export function isForeignOrKey(name: string, names: ReadonlySet<string>): boolean {
  if (name === unfinishedFolder) return false;
  const [, object] = metadataName.exec(name) ?? [];
  return object === undefined || !names.has(object);
}

/** True for a device, pipe or socket, which is never opened. */
export function isSpecialFile(entry: Dirent): boolean {
  return !entry.isFile() && !entry.isDirectory() && !entry.isSymbolicLink();
}

const metadataName = /^\.(.+)\.[0-9a-f]{64}\.meta$/;

export function isMetadata(name: string): boolean {
  return metadataName.test(name);
}
