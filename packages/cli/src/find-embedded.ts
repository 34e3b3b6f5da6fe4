// Whether embedded engines, and so an archive, exist in a folder.

import { access } from "node:fs/promises";
import { join, resolve } from "node:path";

import { PermanentError } from "@actions-archive/core/errors";

/** True once `start` or `demo` has run there, and for a folder that holds a copied archive alone. Creates nothing. */
export async function findEmbedded(dir: string): Promise<boolean> {
  const isThere = (name: string) =>
    access(join(dir, name)).then(
      () => true,
      () => false,
    );
  return (await isThere("engines.json")) || (await isThere("archive"));
}

/** @throws PermanentError `usage/invalid` that says where an archive was looked for, and what to do. */
export function noArchiveHere(dir: string): PermanentError {
  return new PermanentError(
    "usage/invalid",
    `No archive here: ${resolve(dir)} holds none. Run start (or demo) first, name its folder with --dir, or set DATABASE_URL, QUEUE_URL and ARCHIVE_URL.`,
  );
}
