// Writes schema.ts, the types of every table and view, from a freshly migrated database; with --verify it only compares.
// DATABASE_URL names a server on which a scratch database may be made.

import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";

import pg from "pg";

import { migrateDatabase } from "./migrate.ts";

const outFile = fileURLToPath(new URL("schema.ts", import.meta.url));

/** @returns kysely-codegen's exit code: with `verify`, not 0 when schema.ts is out of date. */
export async function generateTypes(serverUrl: string, options: { verify: boolean }): Promise<number> {
  const database = `types_${randomUUID().replaceAll("-", "")}`;
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  await admin.query(`create database ${database}`);
  try {
    const url = new URL(serverUrl);
    url.pathname = `/${database}`;
    await migrateDatabase(url.href);
    const run = spawnSync("kysely-codegen", codegenArguments(url.href, options.verify), {
      stdio: ["ignore", "inherit", "inherit"],
    });
    return run.status ?? 1;
  } finally {
    await admin.query(`drop database ${database} with (force)`);
    await admin.end();
  }
}

function codegenArguments(url: string, verify: boolean): string[] {
  return [
    `--url=${url}`,
    "--dialect=postgres",
    "--include-pattern=(archive|audit).*",
    "--exclude-pattern=archive.migrations*",
    `--type-mapping=${JSON.stringify({ int8: "number", json: "unknown" })}`,
    `--out-file=${outFile}`,
    ...(verify ? ["--verify"] : []),
  ];
}
