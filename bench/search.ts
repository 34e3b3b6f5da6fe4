// `search` over 2 GiB of archived logs, against `zstdcat | rg` on the same objects, both from the page cache, alternating; the better of
// two turns each. Real logs of ../shared/fixtures where they exist, stored repeatedly under other ids; else generated text. Measures whole
// processes, including their start. Run: npx pnpm exec node bench/search.ts [GiB]
// Aims: 0.5 of the baseline's speed for --fixed, 0.15 for patterns. Must: both find the same number of lines.

import { spawn, type SpawnOptions, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import { fileURLToPath, pathToFileURL } from "node:url";

import { LogEncoder, type LogTotals } from "@actions-archive/archive/log/log-format";
import { openArchive } from "@actions-archive/archive/open-archive";
import type { LogRecord } from "@actions-archive/archive/record/record";
import { formatTable } from "@actions-archive/cli/format-table";
import type { JobRef } from "@actions-archive/core/ids";
import { createLogger } from "@actions-archive/core/logger";
import { logKey, recordKey } from "@actions-archive/core/object-key";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { openEmbeddedPostgres } from "@actions-archive/embedded/embedded-postgres";
import { loadRecords, type RecordToLoad } from "@actions-archive/loader/rows/load-records";

const gib = 1024 ** 3;
const wantedBytes = Number(process.argv[2] ?? 2) * gib;
const host = "github.com";
const repository_id = 700_000_001;
const run_id = 26_365_060_973;
const turns = 2;

type Case = {
  readonly name: string;
  readonly pattern: string;
  readonly isFixed: boolean;
  readonly aim: number;
  readonly options?: readonly string[];
};

const cases: readonly Case[] = [
  { name: "fixed, not there", pattern: "AKIAIOSFODNN7EXAMPLE", isFixed: true, aim: 0.5 },
  { name: "fixed, rare", pattern: "Process completed with exit code", isFixed: true, aim: 0.5 },
  { name: "pattern, not there", pattern: "ghp_[A-Za-z0-9]{36}", isFixed: false, aim: 0.15 },
  { name: "alternatives, frequent", pattern: "error|warning|fatal", isFixed: false, aim: 0.15 },
  { name: "classes without a literal", pattern: "[A-Z]{4}[0-9]{3}-[0-9]{4}", isFixed: false, aim: 0.15 },
  { name: "either case", pattern: "access.?key", isFixed: false, aim: 0.15, options: ["--ignore-case"] },
  { name: "without a probe", pattern: "[0-9a-f]{40}", isFixed: false, aim: 0.15 },
  { name: "from the line's start", pattern: "^npm ERR!", isFixed: false, aim: 0.15 },
];

type Encoded = { readonly stored: Buffer; readonly totals: LogTotals };

async function readTexts(): Promise<{ texts: Buffer[]; origin: string }> {
  const folder = fileURLToPath(new URL("../../shared/fixtures/job-logs/bugswarm/", import.meta.url));
  if (!existsSync(folder))
    return { texts: Array.from({ length: 60 }, (_, index) => generateText(index)), origin: "generated text" };
  const names = await readdir(folder);
  return { texts: await Promise.all(names.map((name) => readFile(join(folder, name)))), origin: "real logs, repeated" };
}

function generateText(seed: number): Buffer {
  const word = (index: number) => createHash("sha256").update(`${seed} ${index}`).digest("hex");
  const lines = Array.from({ length: 3000 }, (_, index) => {
    const [a, b] = [word(index % 700), word(index)];
    const text =
      index % 200 === 0
        ? `##[group]Run build ${b.slice(0, 8)}`
        : `compiling module-${a.slice(0, 6)}/src/${a.slice(8, 20)}.c (${b.slice(0, 4)})`;
    return `2026-05-01T10:${String(Math.floor(index / 60) % 60).padStart(2, "0")}:${String(index % 60).padStart(2, "0")}.1234567Z ${text}\n`;
  });
  return Buffer.from(lines.join(""));
}

function encode(text: Buffer): Encoded {
  const encoder = new LogEncoder();
  const stored = encoder.write(text);
  const { stored: rest, totals } = encoder.end();
  return { stored: Buffer.concat([...stored, ...rest]), totals };
}

function recordOf(ref: JobRef, key: string, totals: LogTotals): LogRecord {
  const { bom, crlf, nul, linesWithoutTime } = totals.oddities;
  return {
    schema_version: 1,
    host,
    repository: "acme/app",
    ...ref,
    run_attempt: 1,
    last_listed_attempt: 1,
    job: { id: ref.job_id, run_id, name: "build", status: "completed", completed_at: "2026-05-01T10:10:00Z" },
    job_source: "listing",
    job_received_at: "2026-05-01T10:11:00.000Z",
    log: {
      state: "archived",
      flags: [],
      key,
      version_id: null,
      raw_bytes: totals.rawBytes,
      raw_sha256: totals.rawSha256,
      stored_bytes: totals.storedBytes,
      stored_sha256: totals.storedSha256,
      lines: totals.lines,
      first_time: totals.firstTime ?? null,
      last_time: totals.lastTime ?? null,
      oddities: { bom, crlf, nul, lines_without_time: linesWithoutTime },
    },
    decided_at: "2026-05-01T10:12:00.000Z",
    previous_sha256: null,
  };
}

/** Written as plain files, since the store would fsync each; the loader writes the rows. */
async function fill(
  folder: string,
  databaseUrl: string,
  encoded: readonly Encoded[],
): Promise<{ bytes: number; logs: string[] }> {
  const log = createLogger("bench", "error");
  await migrateDatabase(databaseUrl);
  await using database = await openDatabase({ url: databaseUrl, applicationName: "bench", log });
  await using archive = await openArchive({ ARCHIVE_URL: pathToFileURL(folder) }, { host, archiveId: undefined });
  await claimIdentity(database.db, archive.identity);
  await selectRepositories(database.db, [{ repository_id, full_name: "acme/app", is_private: false }]);
  const loader = { db: database.db, store: archive.store, host, log };
  const logs: string[] = [];
  let bytes = 0;
  for (let batch: RecordToLoad[] = []; bytes < wantedBytes;) {
    const next = encoded[logs.length % encoded.length];
    if (next === undefined) throw new Error("there is no text");
    const ref = { repository_id, run_id, job_id: 61_901_817_921 + logs.length };
    const [key, record] = [logKey(host, ref), recordKey(host, ref, 1)];
    for (const path of [key, record]) await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, key), next.stored);
    await writeFile(join(folder, record), JSON.stringify(recordOf(ref, key, next.totals)));
    logs.push(key);
    bytes += next.totals.rawBytes;
    batch.push({ job_id: ref.job_id, key: record });
    if (batch.length < 500 && bytes < wantedBytes) continue;
    await loadRecords(loader, batch);
    batch = [];
  }
  return { bytes, logs };
}

type Turn = { readonly seconds: number; readonly cpuSeconds: number; readonly lines: number };

/** Runs a shell command to its end, counts its lines, and reads its children's CPU time from the shell. */
async function time(script: string, args: readonly string[], options: SpawnOptions): Promise<Turn> {
  const start = performance.now();
  const child = spawn("sh", ["-c", `${script}; code=$?; times >&3; exit $code`, "sh", ...args], {
    ...options,
    stdio: ["ignore", "pipe", "ignore", "pipe"],
  });
  let lines = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1;
  });
  // The pipe on descriptor 3.
  const times = readAll(child.stdio[3] as Readable);
  await once(child, "close");
  // 1 means no match.
  if (child.exitCode !== 0 && child.exitCode !== 1) throw new Error(`${args.join(" ")} ended with ${child.exitCode}`);
  const ofChildren = (await times).split("\n")[1] ?? "";
  const cpuSeconds = [...ofChildren.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds, lines };
}

// Other load of the machine can only add time.
function best(turnsOfOne: readonly Turn[]): Turn {
  return turnsOfOne.toSorted((a, b) => a.seconds - b.seconds)[0] ?? { seconds: NaN, cpuSeconds: NaN, lines: 0 };
}

for (const tool of ["zstdcat", "rg", "xargs"])
  if (spawnSync(tool, ["--version"]).error) throw new Error(`${tool} is not on the PATH: apt-get install zstd ripgrep findutils`);

await using resources = new AsyncDisposableStack();
const folder = await realpath(await mkdtemp(join(tmpdir(), "actions-archive-bench-")));
resources.defer(() => rm(folder, { recursive: true, force: true }));
await chmod(folder, 0o711);
const log = createLogger("bench", "error");
const postgres = resources.use(await openEmbeddedPostgres({ folder: join(folder, "postgres"), log }));
const { texts, origin } = await readTexts();
const archive = join(folder, "archive");
const { bytes, logs } = await fill(archive, postgres.url, texts.map(encode));
await writeFile(join(folder, "logs"), logs.map((key) => `${join(archive, key)}\0`).join(""));
const env = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  DATABASE_URL: postgres.url,
  ARCHIVE_URL: pathToFileURL(archive).href,
  HOME: folder,
};
const main = fileURLToPath(new URL("../packages/cli/src/main.ts", import.meta.url));

const rows = [];
for (const { name, pattern, isFixed, aim, options = [] } of cases) {
  const ours = [process.execPath, main, "search", ...(isFixed ? ["--fixed"] : []), ...options, "--", pattern];
  // Our patterns match the text after a line's timestamp, also at `^`.
  const theirs = pattern.startsWith("^") ? `^\\S+ ${pattern.slice(1)}` : pattern;
  const rg = ["rg", "--text", "--no-line-number", ...(isFixed ? ["--fixed-strings"] : []), ...options, "--", theirs];
  const [mine, peers]: [Turn[], Turn[]] = [[], []];
  for (let turn = 0; turn < turns; turn += 1) {
    mine.push(await time('"$@"', ours, { cwd: folder, env }));
    peers.push(await time('xargs -0 zstdcat < logs | "$@"', rg, { cwd: folder }));
  }
  const [search, rgTime] = [best(mine), best(peers)];
  const ratio = rgTime.seconds / search.seconds;
  rows.push({
    pattern: `${name}: ${pattern}`,
    lines: search.lines,
    "lines, rg": rgTime.lines,
    "MB/s": Math.round(bytes / 1e6 / search.seconds),
    "MB/s, rg": Math.round(bytes / 1e6 / rgTime.seconds),
    "CPU s/GiB": ((search.cpuSeconds / bytes) * gib).toFixed(2),
    "CPU s/GiB, rg": ((rgTime.cpuSeconds / bytes) * gib).toFixed(2),
    ratio: ratio.toFixed(2),
    aim: `${aim}${ratio >= aim ? "" : " MISSED"}`,
  });
}
const origins = `${logs.length} logs, ${(bytes / gib).toFixed(2)} GiB of raw text (${origin}), Node ${process.version}, ${cpus().length} cores`;
process.stdout.write(`${origins}\n${formatTable(rows)}\n`);
if (rows.some((row) => row.lines !== row["lines, rg"])) {
  process.stdout.write("The two did not find the same lines.\n");
  process.exitCode = 1;
}
