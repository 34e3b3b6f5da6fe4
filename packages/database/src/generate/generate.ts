// Generates schema.ts (types), docs/sql.md (data dictionary) and the lists of docs/verify.md from a freshly migrated database.

import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempDisposable, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import pg from "pg";

import { migrateDatabase } from "../migration/migrate.ts";
import { coverageMarkdown } from "../verify/row-coverage.ts";
import { writeDictionary } from "./dictionary.ts";

const schemaFile = fileURLToPath(new URL("../schema.ts", import.meta.url));
const introductionFile = new URL("../../dictionary.md", import.meta.url);
const coverageFile = fileURLToPath(new URL("../../../../docs/verify.md", import.meta.url));
const dictionaryFile = fileURLToPath(new URL("../../../../docs/sql.md", import.meta.url));

/**
 * @param serverUrl a server on which a scratch database may be created.
 * @returns the files that are out of date. Without `verify` it writes them first and returns none.
 * @throws Error when a generator fails.
 */
export async function generateFiles(serverUrl: string, { verify }: { verify: boolean }): Promise<string[]> {
  const database = `generate_${randomUUID().replaceAll("-", "")}`;
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  await admin.query(`create database ${database}`);
  try {
    const url = new URL(serverUrl);
    url.pathname = `/${database}`;
    await migrateDatabase(url.href);
    const isFresh = {
      [schemaFile]: await generateTypes(url.href, verify),
      [dictionaryFile]: await generateDictionary(url.href, verify),
      [coverageFile]: await generateCoverage(verify),
    };
    return Object.entries(isFresh).flatMap(([file, fresh]) => (fresh ? [] : [file]));
  } finally {
    await admin.query(`drop database ${database} with (force)`);
    await admin.end();
  }
}

/** @returns whether schema.ts is up to date now. */
async function generateTypes(url: string, verify: boolean): Promise<boolean> {
  await using folder = await mkdtempDisposable(join(tmpdir(), "actions-archive-types-"));
  const file = join(folder.path, "schema.ts");
  const options = [
    `--url=${url}`,
    "--dialect=postgres",
    "--include-pattern=(archive|audit).*",
    "--exclude-pattern=archive.migrations*",
    `--type-mapping=${JSON.stringify({ int8: "number", json: "unknown" })}`,
    `--out-file=${file}`,
  ];
  const { status } = spawnSync("kysely-codegen", options, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`kysely-codegen failed with ${status}`);
  // The tables' comments are in docs/sql.md; here they would outnumber the types.
  const after = (await readFile(file, "utf8")).replace(/^ +\/\*\*\n(?: +\*.*\n)+/gm, "");
  if (!verify) await writeFile(schemaFile, after);
  return !verify || (await readFile(schemaFile, "utf8")) === after;
}

/** @returns whether the lists of docs/verify.md are up to date now. */
async function generateCoverage(verify: boolean): Promise<boolean> {
  const before = await readFile(coverageFile, "utf8");
  const [start, end] = ["<!-- coverage: made by `pnpm db:types` -->", "<!-- coverage ends -->"];
  const [head = "", rest = ""] = before.split(start);
  const [, tail = ""] = rest.split(end);
  const after = format(`${head}${start}\n\n${coverageMarkdown()}\n\n${end}${tail}`, coverageFile);
  if (!verify) await writeFile(coverageFile, after);
  return !verify || before === after;
}

/** Formats like the project, so that its format check passes. */
function format(text: string, file: string): string {
  const { status, stdout, stderr } = spawnSync("oxfmt", [`--stdin-filepath=${file}`], { input: text, encoding: "utf8" });
  if (status !== 0) throw new Error(`oxfmt failed: ${stderr}`);
  return stdout;
}

/** @returns whether docs/sql.md is up to date now. */
async function generateDictionary(url: string, verify: boolean): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const text = await writeDictionary(client, await readFile(introductionFile, "utf8"));
    const formatted = format(text, dictionaryFile);
    if (!verify) await writeFile(dictionaryFile, formatted);
    return (await readFile(dictionaryFile, "utf8").catch(() => "")) === formatted;
  } finally {
    await client.end();
  }
}
