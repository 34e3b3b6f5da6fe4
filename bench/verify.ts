// `verify` on 100,000 jobs (200,000 sealed objects) in a folder, and --deep against a loop that only reads and hashes.
// Run: npx pnpm exec node bench/verify.ts
// Aim: --deep at 0.8 of the speed of a loop that reads, hashes, decodes and hashes again.

import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { zstdDecompressSync } from "node:zlib";

import { LogEncoder } from "@actions-archive/archive/log/log-format";
import { openStoreForReading } from "@actions-archive/archive/open-store";
import { makeSeal, maxSealEntries, noPreviousSeal, type SealEntry } from "@actions-archive/archive/seal/seal";
import { signSeal } from "@actions-archive/archive/seal/seal-envelope";
import { openSigner, parsePublicKey, type Signer } from "@actions-archive/archive/seal/seal-key";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { newKeyPem } from "@actions-archive/archive/test-support/seal-samples";
import { verifyArchive } from "@actions-archive/archive/verify/verify-archive";
import { logKey, recordKey, sealKey } from "@actions-archive/core/object-key";
import { z } from "zod";

import { report } from "./support/report.ts";

const host = "github.com";
const identity = { archive_id: "6f0c8fd4-6bd5-4f4c-9a52-0a8a3a5f1f0e", host, created_at: "2026-05-01T00:00:00.000Z", version: 1 };
const jobsInRun = 50;

const Measured = z.object({
  chainSeconds: z.number(),
  seconds: z.number(),
  maxRssBytes: z.number(),
  rawBytes: z.number(),
  tampering: z.number(),
});
type Measured = z.output<typeof Measured>;

if (process.argv[2] === "verify") await verifyInChild();
else await measure();

async function measure(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "actions-archive-bench-"));
  try {
    const signer = openSigner(newKeyPem());
    writeFileSync(join(folder, "key.pub"), signer.publicKey.export({ type: "spki", format: "pem" }));
    const [empty, many, large] = [join(folder, "empty"), join(folder, "many"), join(folder, "large")];
    await build(empty, signer, { jobs: 1, logBytes: 100 });
    await build(many, signer, { jobs: 100_000, logBytes: 400 });
    await build(large, signer, { jobs: 250, logBytes: 2_000_000 });
    const base = await run(folder, empty, "no");
    const shallow = await run(folder, many, "no");
    // Alternating, so that other load of the machine affects both.
    const turns: { deep: number; bare: Bare }[] = [];
    for (let turn = 0; turn < 3; turn += 1)
      turns.push({ bare: bareLoop(large), deep: (await run(folder, large, "deep")).seconds });
    const best = (pick: (turn: (typeof turns)[number]) => number) => Math.min(...turns.map(pick));
    const [deep, hashed, decoded] = [best((t) => t.deep), best((t) => t.bare.hashSeconds), best((t) => t.bare.decodeSeconds)];
    const { rawBytes, storedBytes } = turns[0]?.bare ?? { rawBytes: 0, storedBytes: 0 };
    report([
      { what: "records a second, with their logs' metadata", measured: 100_000 / (shallow.seconds - shallow.chainSeconds) },
      { what: "seals: entries a second", measured: 200_000 / shallow.chainSeconds },
      { what: "largest resident size of 200,000 entries, MiB", measured: shallow.maxRssBytes / 2 ** 20 },
      { what: "the same of 2 entries, MiB", measured: base.maxRssBytes / 2 ** 20 },
      { what: "deep: MB of text a second", measured: rawBytes / 1e6 / deep },
      { what: "deep: MB of stored bytes a second", measured: storedBytes / 1e6 / deep },
      { what: "deep against a loop that reads and hashes what is stored", measured: hashed / deep },
      {
        what: "deep against a loop that also decodes and hashes the text",
        measured: decoded / deep,
        limit: { kind: "aim", atLeast: 0.8 },
      },
      {
        what: "findings, of none that were made",
        measured: base.tampering + shallow.tampering,
        limit: { kind: "must", atMost: 0 },
      },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(folder: string, archive: string, depth: "deep" | "no"): Promise<Measured> {
  const child = fork(import.meta.filename, ["verify", archive, join(folder, "key.pub"), depth], { stdio: "inherit" });
  const [message] = (await once(child, "message")) as [unknown];
  return Measured.parse(message);
}

async function verifyInChild(): Promise<void> {
  const [, , , archive = "", key = "", depth] = process.argv;
  await using store = await openStoreForReading({ ARCHIVE_URL: pathToFileURL(archive) });
  const began = performance.now();
  let chainSeconds = 0;
  const { findings, totals } = await verifyArchive(store, {
    keys: [parsePublicKey(readFileSync(key, "utf8"))],
    isDeep: () => depth === "deep",
    sealIntervalSeconds: 3600,
    onProgress: ({ unit }) => {
      if (unit === "seals") chainSeconds = (performance.now() - began) / 1000;
    },
  });
  const seconds = (performance.now() - began) / 1000;
  const maxRssBytes = process.resourceUsage().maxRSS * 1024;
  process.send?.({ chainSeconds, seconds, maxRssBytes, rawBytes: totals.rawBytesRead, tampering: findings.tamperCount });
  process.disconnect?.();
}

type Shape = { readonly jobs: number; readonly logBytes: number };

/** Writes files like the store, without fsync. */
async function build(folder: string, signer: Signer, { jobs, logBytes }: Shape): Promise<void> {
  const entries: SealEntry[] = [];
  const write = (key: string, bytes: Buffer) => {
    if (!key.startsWith("seals/")) entries.push({ key, version_id: null, size: bytes.length, sha256: hashOf(bytes) });
    const path = join(folder, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  };
  write("archive.json", canonicalBytes(identity));
  for (let index = 0; index < jobs; index += 1) {
    const ref = { repository_id: 1, run_id: 1_000_000 + Math.floor(index / jobsInRun), job_id: 61_901_817_921 + index };
    const { stored, log } = encode(logText(index, logBytes), logKey(host, ref));
    write(log.key, stored);
    const metadata = JSON.stringify({ "raw-sha256": log.raw_sha256, "raw-bytes": String(log.raw_bytes) });
    const parent = dirname(log.key);
    writeFileSync(join(folder, parent, `.${log.key.slice(parent.length + 1)}.${log.stored_sha256}.meta`), metadata);
    write(recordKey(host, ref, 1), canonicalBytes(recordOf(ref, log)));
  }
  let previous_sha256 = noPreviousSeal;
  for (let sequence = 1; (sequence - 1) * maxSealEntries < entries.length; sequence += 1) {
    const part = entries.slice((sequence - 1) * maxSealEntries, sequence * maxSealEntries);
    const payload = canonicalBytes(sealOf(part, { sequence, previous_sha256, keyId: signer.keyId }));
    write(sealKey(sequence), await signSeal(payload, signer));
    previous_sha256 = hashOf(payload);
  }
}

type Place = { readonly sequence: number; readonly previous_sha256: string; readonly keyId: string };

function sealOf(entries: SealEntry[], { sequence, previous_sha256, keyId }: Place) {
  return makeSeal({
    archive_id: identity.archive_id,
    host,
    sequence,
    sealed_at: new Date().toISOString(),
    previous_sha256,
    key_id: keyId,
    next_key: null,
    entries,
    ledger: {
      windows: [],
      windows_left_out: 0,
      attempts: [],
      attempts_left_out: 0,
      full_seconds: [],
      full_seconds_left_out: 0,
      open_obligations: { pending: 0, failed: 0 },
      gaps: {},
    },
    tombstones: [],
    holds: [],
    policies: [],
    damages: [],
  });
}

function encode(text: Buffer, key: string) {
  const encoder = new LogEncoder();
  const first = encoder.write(text);
  const { stored, totals } = encoder.end();
  const log = {
    state: "archived",
    flags: [],
    key,
    version_id: null,
    raw_bytes: totals.rawBytes,
    raw_sha256: totals.rawSha256,
    stored_bytes: totals.storedBytes,
    stored_sha256: totals.storedSha256,
    lines: totals.lines,
    first_time: null,
    last_time: null,
    oddities: { bom: false, crlf: 0, nul: 0, lines_without_time: 0 },
  };
  return { stored: Buffer.concat([...first, ...stored]), log };
}

function recordOf(ref: { readonly repository_id: number; readonly run_id: number; readonly job_id: number }, log: object) {
  return {
    schema_version: 1,
    host,
    repository: "acme/app",
    ...ref,
    run_attempt: 1,
    last_listed_attempt: 1,
    job: { id: ref.job_id, run_id: ref.run_id },
    job_source: "listing",
    job_received_at: "2026-05-01T10:05:00.000Z",
    log,
    decided_at: "2026-05-01T10:06:00.000Z",
    previous_sha256: null,
  };
}

/** Compresses eightfold, like recorded logs. */
function logText(seed: number, bytes: number): Buffer {
  const lines: string[] = [];
  for (let [length, line] = [0, 0]; length < bytes; line += 1) {
    const noise = createHash("md5").update(`${seed}/${line}`).digest("hex").slice(0, 26);
    const text = `2026-05-01T10:00:${String(line % 60).padStart(2, "0")}.1234567Z npm http fetch GET 200 https://registry.npmjs.org/package-${noise} attempt 1 (cache hit)\n`;
    lines.push(text);
    length += text.length;
  }
  return Buffer.from(lines.join(""));
}

type Bare = {
  readonly hashSeconds: number;
  readonly decodeSeconds: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
};

function bareLoop(folder: string): Bare {
  const files = readdirSync(join(folder, "logs"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".log.zst"),
  );
  let [rawBytes, storedBytes] = [0, 0];
  const began = performance.now();
  for (const name of files) storedBytes += hashFile(join(folder, "logs", name)).length;
  const hashed = performance.now();
  for (const name of files) {
    const text = zstdDecompressSync(hashFile(join(folder, "logs", name)));
    createHash("sha256").update(text).digest();
    rawBytes += text.length;
  }
  return { hashSeconds: (hashed - began) / 1000, decodeSeconds: (performance.now() - hashed) / 1000, rawBytes, storedBytes };
}

function hashFile(path: string): Buffer {
  const bytes = readFileSync(path);
  createHash("sha256").update(bytes).digest();
  return bytes;
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
