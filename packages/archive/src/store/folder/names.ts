// Classifies the file names in an archive's folder.

import type { Dirent } from "node:fs";

/** Folder of temporary files. No key can lead here, because no segment of a key begins with a dot. */
export const unfinishedFolder = ".unfinished";

/** False for names that cannot be part of a key: metadata, temporary files, foreign files. */
export function isPartOfKey(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name);
}

/** False for the store's own temporary files and metadata. Metadata whose object is not among `names` counts as foreign. */
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
