// Reads the .sql files of a folder.

import { readdir, readFile } from "node:fs/promises";

/** @returns their texts by name without extension, ordered by name. */
export async function readSqlFolder(folder: URL): Promise<Record<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql")).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
  return Object.fromEntries(names.map((name, index) => [name.slice(0, -".sql".length), texts[index] ?? ""]));
}
