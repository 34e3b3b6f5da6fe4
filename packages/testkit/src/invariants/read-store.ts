// Reads every object of a store once, and keeps what the invariant checks need.

import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";

import { z } from "zod";

import { leaksIn, type Secrets } from "./leaks.ts";
import type { ObjectSource } from "./object-source.ts";
import { parseStoredKey, type StoredKey } from "./stored-keys.ts";

type KeyOf<Kind extends StoredKey["kind"]> = Extract<StoredKey, { kind: Kind }>;

export type StoredLog = KeyOf<"log"> & {
  readonly storedSha256: string;
  /** Undefined: the object cannot be decoded to its end. */
  readonly raw: { readonly sha256: string; readonly bytes: number } | undefined;
};

const Record = z.object({
  job_id: z.int(),
  run_id: z.int(),
  repository_id: z.int(),
  job: z.object({ steps: z.array(z.record(z.string(), z.unknown())).nullish() }),
  extraction_version: z.int().optional(),
  log: z.object({
    state: z.enum(["archived", "absent"]),
    key: z.string().optional(),
    reason: z.string().optional(),
    flags: z.array(z.string()).default([]),
  }),
});
export type StoredRecord = KeyOf<"record"> & { readonly record: z.output<typeof Record> | undefined };

const Payload = z.object({
  sequence: z.int(),
  previous_sha256: z.string(),
  entries: z.array(z.object({ key: z.string() })),
});
const Envelope = z.object({ payload: z.base64() });
export type StoredSeal = KeyOf<"seal"> & {
  /** Of the payload's bytes. */
  readonly sha256: string;
  readonly payload: z.output<typeof Payload> | undefined;
};

export type StoreView = {
  readonly keys: readonly StoredKey[];
  readonly logs: ReadonlyMap<number, readonly StoredLog[]>;
  readonly records: ReadonlyMap<number, readonly StoredRecord[]>;
  readonly runs: readonly KeyOf<"run">[];
  readonly seals: readonly StoredSeal[];
  /** Secrets in objects, decoded ones included. */
  readonly leaks: readonly string[];
  readonly host: string | undefined;
};

/** Concurrent reads. More would only use more memory. */
const atOnce = 8;

export async function readStore(objects: ObjectSource, secrets: Secrets): Promise<StoreView> {
  const keys = (await objects.list()).toSorted().map(parseStoredKey);
  const [logs, records, seals, leaks]: [StoredLog[], StoredRecord[], StoredSeal[], string[]] = [[], [], [], []];
  let host: string | undefined;
  const readOne = async (stored: StoredKey) => {
    // An object that is listed but cannot be read is reported as missing later.
    const bytes = await objects.read(stored.key).catch(() => undefined);
    if (bytes === undefined) return;
    const text = stored.kind === "log" ? decode(bytes) : bytes;
    if (stored.kind === "log") logs.push({ ...stored, storedSha256: sha256Of(bytes), raw: text && factsOf(text) });
    if (stored.kind === "record") records.push({ ...stored, record: parse(Record, bytes) });
    if (stored.kind === "seal") seals.push(sealIn(stored, bytes));
    if (stored.kind === "identity") host = parse(z.object({ host: z.string() }), bytes)?.host;
    if (secrets.lines.length + secrets.signatures.size === 0) return;
    for (const leak of leaksIn((text ?? bytes).toString("utf8"), secrets)) leaks.push(`${stored.key} holds ${leak}`);
  };
  const left = keys.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const stored of left) await readOne(stored);
    }),
  );
  return {
    keys,
    logs: Map.groupBy(logs, ({ jobId }) => jobId),
    records: Map.groupBy(records, ({ jobId }) => jobId),
    runs: keys.filter((stored) => stored.kind === "run"),
    seals: seals.toSorted((a, b) => a.sequence - b.sequence),
    leaks,
    host,
  };
}

function decode(stored: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(stored);
  } catch {
    return undefined;
  }
}

function factsOf(raw: Buffer): { sha256: string; bytes: number } {
  return { sha256: sha256Of(raw), bytes: raw.length };
}

function sealIn(stored: KeyOf<"seal">, bytes: Buffer): StoredSeal {
  const payload = Buffer.from(parse(Envelope, bytes)?.payload ?? "", "base64");
  return { ...stored, sha256: sha256Of(payload), payload: parse(Payload, payload) };
}

function parse<S extends z.ZodType>(schema: S, bytes: Buffer): z.output<S> | undefined {
  try {
    return schema.parse(JSON.parse(bytes.toString("utf8")));
  } catch {
    return undefined;
  }
}

function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
