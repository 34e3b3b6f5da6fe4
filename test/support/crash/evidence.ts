// Reads a whole archive for comparison: every row and every object, without what depends on the current time.

import { createHash } from "node:crypto";

import { openStoreForReading } from "@actions-archive/archive/open-store";
import { Client } from "pg";

import type { Settings } from "../processes.ts";
import type { InitialState, Evidence } from "./initial-state.ts";

/** Budgets depend on the number of requests, also of those that a crash made useless. */
const ignoredTables: Readonly<Record<string, readonly string[]>> = { "*": ["credentials", "credential_holders"] };
/** A time in this range was written since the scenario was prepared. GitHub's times are older, and logs expire later. */
const [nowFromMs, nowUntilMs] = [Date.now() - 15 * 60_000, Date.now() + 6 * 60 * 60_000];

export async function readEvidence(
  settings: Settings,
  { forget = {}, objectOf }: Pick<InitialState, "forget" | "objectOf">,
): Promise<Evidence> {
  const [rows, objects] = await Promise.all([readRows(settings["DATABASE_URL"] ?? "", forget), readObjects(settings, objectOf)]);
  return { rows, objects };
}

async function readRows(
  connectionString: string,
  forget: Readonly<Record<string, readonly string[]>>,
): Promise<Evidence["rows"]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      "select relname as name from pg_class where relnamespace = 'archive'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1",
    );
    const all: Record<string, unknown[]> = {};
    for (const { name } of tables) {
      if (ignoredTables["*"]?.includes(name)) continue;
      const { rows } = await client.query<{ row: Record<string, unknown> }>(
        `select to_jsonb(t) as row from archive.${client.escapeIdentifier(name)} t`,
      );
      const comparable = rows.map(({ row }) =>
        maskNow(Object.fromEntries(Object.entries(row).filter(([column]) => !forget[name]?.includes(column)))),
      );
      all[name] = comparable.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    }
    return all;
  } finally {
    await client.end();
  }
}

async function readObjects(settings: Settings, objectOf: InitialState["objectOf"]): Promise<Evidence["objects"]> {
  await using store = await openStoreForReading({
    ARCHIVE_URL: new URL(settings["ARCHIVE_URL"] ?? ""),
    ...(settings["S3_ENDPOINT"] === undefined
      ? {}
      : { S3_ENDPOINT: new URL(settings["S3_ENDPOINT"]), S3_FORCE_PATH_STYLE: true }),
  });
  const objects: Record<string, unknown> = {};
  for await (const { key } of store.list("")) {
    if (key.startsWith("probe/")) continue;
    const bytes = (await store.read(key)) ?? Buffer.alloc(0);
    objects[key] =
      objectOf?.(key, bytes) ?? (key.endsWith(".json") ? parse(bytes) : createHash("sha256").update(bytes).digest("hex"));
  }
  return objects;
}

/** Parses a JSON document and masks the times at which it was written. */
export function parse(bytes: Buffer): unknown {
  return maskNow(JSON.parse(bytes.toString("utf8")));
}

export function maskNow(value: unknown): unknown {
  if (typeof value === "string") return isNow(value) ? "now" : value;
  if (Array.isArray(value)) return value.map(maskNow);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      // The sequence of an aborted transaction has advanced.
      name === "backfill_id" && field !== null ? "a backfill" : maskNow(field),
    ]),
  );
}

function isNow(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) return false;
  const timeMs = Date.parse(text);
  return timeMs > nowFromMs && timeMs < nowUntilMs;
}
