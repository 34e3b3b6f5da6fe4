// All that an archive is: every row of the ledger, every object of the store. What the clock alone decides is left out.

import { createHash } from "node:crypto";

import { openStoreForReading } from "@actions-archive/archive/open-store";
import { Client } from "pg";

import type { Settings } from "../processes.ts";
import type { InitialState, Evidence } from "./beginning.ts";

/** Budgets are spent by who asks, whatever becomes of it. */
const forgotten: Readonly<Record<string, readonly string[]>> = { "*": ["credentials", "credential_holders"] };
/** What was written since the beginning was made; what GitHub tells is older, and logs expire later. */
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
      if (forgotten["*"]?.includes(name)) continue;
      const { rows } = await client.query<{ row: Record<string, unknown> }>(
        `select to_jsonb(t) as row from archive.${client.escapeIdentifier(name)} t`,
      );
      const told = rows.map(({ row }) =>
        withoutNow(Object.fromEntries(Object.entries(row).filter(([column]) => !forget[name]?.includes(column)))),
      );
      all[name] = told.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
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

/** A document, without the times at which it was written. */
export function parse(bytes: Buffer): unknown {
  return withoutNow(JSON.parse(bytes.toString("utf8")));
}

export function withoutNow(value: unknown): unknown {
  if (typeof value === "string") return isNow(value) ? "now" : value;
  if (Array.isArray(value)) return value.map(withoutNow);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      // A transaction that was not committed has used up a number.
      name === "backfill_id" && field !== null ? "a backfill" : withoutNow(field),
    ]),
  );
}

function isNow(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) return false;
  const timeMs = Date.parse(text);
  return timeMs > nowFromMs && timeMs < nowUntilMs;
}
