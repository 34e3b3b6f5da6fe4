// Ways to tamper with a store, each with the objects that a verification must report.

import { createHash } from "node:crypto";

import { type LogRecord, RunRecord } from "@actions-archive/archive/record/record";
import { makeSeal, noPreviousSeal, Seal } from "@actions-archive/archive/seal/seal";
import { signSeal } from "@actions-archive/archive/seal/seal-envelope";
import type { Signer } from "@actions-archive/archive/seal/seal-key";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { archiveIdentityKey, logKey, recordKey, runRecordKey, sealKey, tryParseKey } from "@actions-archive/core/object-key";

import { encode, archivedLog } from "./filled-archive.ts";
import { insertMetadata, insertPipe, insertProbe } from "./odd-files.ts";
import { newKey } from "./sealed-archive.ts";
import type { Dice, ObjectKeys, Tamperer } from "./tamper.ts";

export type Act = {
  /** The row in the table of results. */
  readonly kind: string;
  /** @returns every object that must be reported */
  readonly tamper: (tamperer: Tamperer, dice: Dice, keys: ObjectKeys) => Promise<string[]>;
  /** Detected only with a previously recorded head. */
  readonly needsHead?: boolean;
};

type ObjectKind = "log" | "record" | "run record" | "seal" | "archive.json";

const objectKinds: readonly ObjectKind[] = ["log", "record", "run record", "seal", "archive.json"];

function keysOf(kind: ObjectKind, { logs, records, runs, seals }: ObjectKeys): readonly string[] {
  switch (kind) {
    case "log":
      return logs;
    case "record":
      return records;
    case "run record":
      return runs;
    case "seal":
      return seals;
    case "archive.json":
      return [archiveIdentityKey];
  }
}

/** By kind: changes an object's content and keeps its name. */
const changes: Record<string, (bytes: Buffer, dice: Dice) => Buffer> = {
  "flip a bit": (bytes, dice) => {
    const changed = Buffer.from(bytes);
    const at = dice.below(bytes.length);
    changed[at] = (changed[at] ?? 0) ^ (1 << dice.below(8));
    return changed;
  },
  truncate: (bytes, dice) => bytes.subarray(0, dice.below(bytes.length)),
  append: (bytes, dice) => Buffer.concat([bytes, Buffer.alloc(1 + dice.below(40), dice.one([0, 10, 32]))]),
};

export const acts: readonly Act[] = [
  ...objectKinds.flatMap((kind) =>
    Object.entries(changes).map(([name, change]): Act => ({
      kind: `${name} · ${kind}`,
      tamper: async (tamperer, dice, keys) => {
        const key = dice.one(keysOf(kind, keys));
        await tamperer.write(key, change(await tamperer.read(key), dice));
        return [key];
      },
    })),
  ),
  ...objectKinds.map((kind): Act => ({
    kind: `delete · ${kind}`,
    tamper: async (tamperer, dice, keys) => {
      // Removing the last seal makes a shorter chain, which is valid without a known head. Truncation is tested below.
      const key = dice.one(keysOf(kind, keys).filter((each) => each !== keys.seals.at(-1)));
      await tamperer.remove(key);
      return [key];
    },
  })),
  ...objectKinds.slice(0, 4).flatMap((kind): Act[] => [
    {
      kind: `swap · ${kind}`,
      tamper: async (tamperer, dice, keys) => {
        const [one, other] = dice.two(keysOf(kind, keys));
        const [ofOne, ofOther] = [await tamperer.read(one), await tamperer.read(other)];
        await tamperer.write(one, ofOther);
        await tamperer.write(other, ofOne);
        return [one, other];
      },
    },
    {
      kind: `rename · ${kind}`,
      tamper: async (tamperer, dice, keys) => {
        const key = dice.one(keysOf(kind, keys).filter((each) => each !== keys.seals.at(-1)));
        const bytes = await tamperer.read(key);
        await tamperer.remove(key);
        await tamperer.write(
          key.replace(/\d(?=\.)/, (digit) => String((Number(digit) + 5) % 10)).replace(/^(seals.*)$/, sealKey(900)),
          bytes,
        );
        return [key];
      },
    },
    { kind: `insert · ${kind}`, tamper: (tamperer, dice, keys) => insert[kind](tamperer, dice, keys) },
  ]),
  { kind: "insert · next record version", tamper: insertNextVersion },
  { kind: "insert · foreign file", tamper: insertForeign },
  { kind: "insert · under probe/", tamper: insertProbe },
  { kind: "insert · metadata without its object", tamper: insertMetadata },
  { kind: "insert · pipe", tamper: insertPipe },
  { kind: "insert · with a conflicting hash", tamper: insertConflicting },
  { kind: "reorder seals", tamper: reorderSeals },
  { kind: "replay an old seal", tamper: replaySeal },
  { kind: "sign again with another key", tamper: signAgain },
  { kind: "cut the chain's end", tamper: cutEnd, needsHead: true },
  { kind: "change metadata · raw-sha256", tamper: changeMetadata("raw-sha256") },
  { kind: "change metadata · raw-bytes", tamper: changeMetadata("raw-bytes") },
  { kind: "change metadata · hash of the object", tamper: renameMetadata },
  { kind: "swap metadata", tamper: swapMetadata },
];

/** @returns an id that no job of the archive has. */
const stranger = (dice: Dice) => 61_900_000_000 + dice.below(1_000_000);

const insert: Record<"log" | "record" | "run record" | "seal" | "archive.json", Act["tamper"]> = {
  log: async (tamperer, dice, { logs }) => {
    const parsed = tryParseKey(dice.one(logs));
    if (parsed?.kind !== "log") return [];
    const key = logKey(parsed.host, { ...parsed, job_id: stranger(dice) });
    await tamperer.write(key, encode(Buffer.from("2026-05-01T10:00:00.0000000Z all is well\n")).stored);
    return [key];
  },
  record: async (tamperer, dice, { records }) => {
    const record = JSON.parse((await tamperer.read(dice.one(records))).toString()) as LogRecord;
    const job_id = stranger(dice);
    const key = recordKey(record.host, { ...record, job_id }, 1);
    const log = { state: "absent", reason: "expired", copied_from: null } as const;
    await tamperer.write(
      key,
      canonicalBytes({ ...record, job_id, job: { ...record.job, id: job_id }, log, previous_sha256: null }),
    );
    return [key];
  },
  "run record": async (tamperer, dice, { runs }) => {
    const record = RunRecord.parse(JSON.parse((await tamperer.read(dice.one(runs))).toString()));
    const key = runRecordKey(record.host, { ...record, run_attempt: 7 });
    await tamperer.write(key, canonicalBytes({ ...record, run_attempt: 7 }));
    return [key];
  },
  seal: async (tamperer, dice, { seals }) => {
    const last = await readSealOf(tamperer, seals.at(-1) ?? "");
    const sequence = last.seal.sequence + 1;
    const { signer } = newKey();
    const entry = { key: "logs/github.com/1/2/3.log.zst", version_id: null, size: 1 + dice.below(9), sha256: "a".repeat(64) };
    const seal = { ...last.seal, sequence, previous_sha256: last.sha256, entries: [entry], key_id: signer.keyId };
    await tamperer.write(sealKey(sequence), (await sealed(seal, signer)).object);
    return [sealKey(sequence)];
  },
  "archive.json": async () => [],
};

async function insertNextVersion(tamperer: Tamperer, dice: Dice, { records }: ObjectKeys): Promise<string[]> {
  const newest = records.filter((key) => {
    const parsed = tryParseKey(key);
    return parsed?.kind === "record" && !records.includes(recordKey(parsed.host, parsed, parsed.version + 1));
  });
  const before = dice.one(newest);
  const bytes = await tamperer.read(before);
  const parsed = tryParseKey(before);
  if (parsed?.kind !== "record") return [];
  const key = recordKey(parsed.host, parsed, parsed.version + 1);
  const record = JSON.parse(bytes.toString()) as LogRecord;
  const lie = { ...record, job: { ...record.job, conclusion: "success" }, previous_sha256: hashOf(bytes) };
  await tamperer.write(key, canonicalBytes(lie));
  return [key];
}

async function insertForeign(tamperer: Tamperer, dice: Dice, { logs }: ObjectKeys): Promise<string[]> {
  const folder = dice.one(logs).replace(/[^/]+$/, "");
  const key = dice.one([
    "notes.txt",
    `${folder}a b`,
    `${folder}x.log.zst`,
    "records/github.com/1.json",
    "seals/1.json",
    "runs/ä",
  ]);
  await tamperer.write(key, Buffer.from("hello"));
  return [key];
}

/** Adds a conflicting log under a name with a hash, and a record that names it. */
async function insertConflicting(tamperer: Tamperer, dice: Dice, { logs, records }: ObjectKeys): Promise<string[]> {
  const parsed = tryParseKey(dice.one(logs.filter((key) => tryParseKey(key)?.kind === "log")));
  if (parsed?.kind !== "log") return [];
  const versions = records.filter((key) => {
    const each = tryParseKey(key);
    return each?.kind === "record" && each.job_id === parsed.job_id;
  });
  const bytes = await tamperer.read(recordKey(parsed.host, parsed, versions.length));
  const { stored, totals } = encode(Buffer.from(`2026-05-01T10:00:00.0000000Z ${dice.below(1000)}\n`));
  const own = logKey(parsed.host, parsed).replace(/\.log\.zst$/, `.${totals.rawSha256}.log.zst`);
  const key = recordKey(parsed.host, parsed, versions.length + 1);
  const record = JSON.parse(bytes.toString()) as LogRecord;
  await tamperer.write(own, stored);
  await tamperer.write(key, canonicalBytes({ ...record, log: archivedLog(own, totals), previous_sha256: hashOf(bytes) }));
  return [own, key];
}

async function reorderSeals(tamperer: Tamperer, dice: Dice, { seals }: ObjectKeys): Promise<string[]> {
  const from = dice.below(seals.length - 2);
  const moved = seals.slice(from, from + 3);
  const bytes = await Promise.all(moved.map((key) => tamperer.read(key)));
  for (const [index, key] of moved.entries()) await tamperer.write(key, bytes[(index + 1) % 3] ?? Buffer.alloc(0));
  return moved;
}

async function replaySeal(tamperer: Tamperer, dice: Dice, { seals }: ObjectKeys): Promise<string[]> {
  const from = dice.below(seals.length - 1);
  const to = from + 1 + dice.below(seals.length - from);
  await tamperer.write(sealKey(to + 1), await tamperer.read(seals[from] ?? ""));
  return [sealKey(to + 1)];
}

// Valid in itself. Only a verifier with the right key detects it.
async function signAgain(tamperer: Tamperer, _dice: Dice, { seals }: ObjectKeys): Promise<string[]> {
  const { signer } = newKey();
  let previous_sha256 = noPreviousSeal;
  for (const key of seals) {
    const { seal } = await readSealOf(tamperer, key);
    const next = await sealed({ ...seal, key_id: signer.keyId, next_key: null, previous_sha256 }, signer);
    await tamperer.write(key, next.object);
    previous_sha256 = next.sha256;
  }
  return seals.slice(-1);
}

async function cutEnd(tamperer: Tamperer, dice: Dice, { seals }: ObjectKeys): Promise<string[]> {
  for (const key of seals.slice(-1 - dice.below(seals.length))) await tamperer.remove(key);
  return seals.slice(-1);
}

function changeMetadata(name: "raw-sha256" | "raw-bytes"): Act["tamper"] {
  return async (tamperer, dice, { logs }) => {
    const log = dice.one(logs);
    const key = await tamperer.metadataOf(log);
    const metadata = JSON.parse((await tamperer.read(key)).toString()) as Record<string, string>;
    const value = name === "raw-bytes" ? String(dice.below(1_000_000)) : hashOf(Buffer.from(String(dice.below(1_000_000))));
    await tamperer.write(key, Buffer.from(JSON.stringify({ ...metadata, [name]: value })));
    return [log];
  };
}

async function renameMetadata(tamperer: Tamperer, dice: Dice, { logs }: ObjectKeys): Promise<string[]> {
  const log = dice.one(logs);
  const key = await tamperer.metadataOf(log);
  const bytes = await tamperer.read(key);
  await tamperer.remove(key);
  await tamperer.write(key.replace(/[0-9a-f]{64}\.meta$/, `${hashOf(bytes)}.meta`), bytes);
  return [log];
}

async function swapMetadata(tamperer: Tamperer, dice: Dice, { logs }: ObjectKeys): Promise<string[]> {
  const pair = dice.two(logs);
  const [one, other] = [await tamperer.metadataOf(pair[0]), await tamperer.metadataOf(pair[1])];
  const [ofOne, ofOther] = [await tamperer.read(one), await tamperer.read(other)];
  await tamperer.write(one, ofOther);
  await tamperer.write(other, ofOne);
  return pair;
}

async function readSealOf(tamperer: Tamperer, key: string): Promise<{ readonly seal: Seal; readonly sha256: string }> {
  const { payload } = JSON.parse((await tamperer.read(key)).toString()) as { payload: string };
  const bytes = Buffer.from(payload, "base64");
  return { seal: Seal.parse(JSON.parse(bytes.toString())), sha256: hashOf(bytes) };
}

async function sealed(seal: Seal, signer: Signer): Promise<{ readonly object: Buffer; readonly sha256: string }> {
  const { schema_version: _version, entries_root: _root, ...rest } = seal;
  const payload = canonicalBytes(makeSeal(rest));
  return { object: await signSeal(payload, signer), sha256: hashOf(payload) };
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
