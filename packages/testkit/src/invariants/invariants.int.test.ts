// A correct archive violates no invariant, and each planted defect violates exactly one.

import { spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

import { runCli, type Settings } from "../../../../test/support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "../../../../test/support/workspace.ts";
import { startTestS3 } from "../test-s3.ts";
import { ArchiveJournal } from "./archive-journal.ts";
import type { Evidence } from "./evidence.ts";
import { checkInvariants } from "./invariants.ts";
import { folderSource, type ObjectSource, s3Source } from "./object-source.ts";
import { stopWatchingRows, watchRows } from "./watch-rows.ts";

const stack = new AsyncDisposableStack();
let simulator: Simulator;
let client: Client;
let entries: readonly JournalEntry[];
let correct: Evidence;
/** Archived logs, by id. */
let logs: { job_id: number; log_key: string; record_key: string }[];

const secret = "a-webhook-secret-that-must-not-appear";

beforeAll(async () => {
  const workspace = stack.use(await openWorkspace());
  const logSizes = { medianBytes: 3_000, tailShareOfLogs: 0 };
  simulator = stack.use(await startSimulator({ repositories: 2, days: 2, runsPerDay: 3, jobsPerRun: 3, logs: logSizes }));
  const engines = await engineSettings(workspace);
  client = new Client({ connectionString: engines["DATABASE_URL"] });
  await client.connect();
  stack.defer(() => client.end());
  await watchRows(client);
  const since = new Date(Math.floor(Date.now() / 86_400_000 - 4) * 86_400_000);
  const privateKey = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const settings = { ...githubSettings(simulator), ...engines, SEAL_KEY: privateKey, ARCHIVE_SINCE: since.toISOString() };
  const run = async (args: readonly string[], own: Settings = {}) => {
    const { code, stdout, stderr } = await runCli(args, { cwd: workspace.folder, settings: { ...settings, ...own } });
    expect(code, stdout + stderr).toBe(0);
    return { name: args.join(" "), text: stdout + stderr, stdout };
  };
  const outputs = [await run(["start", "--once"], { LOG_LEVEL: "trace" }), await run(["seal"])];
  simulator.control.addRun({ repository: "octo-org/api", jobs: [{ name: "late" }, { name: "later", conclusion: "skipped" }] });
  outputs.push(await run(["start", "--once"], { LOG_LEVEL: "trace" }), await run(["seal"]));
  await stopWatchingRows(client);
  const { stdout } = await run(["verify", "--json", "--deep", "--against-database"]);
  await watchRows(client);
  entries = simulator.journal.entries();
  correct = {
    simulator,
    journal: journalOf(entries),
    client,
    objects: folderSource(workspace.archive),
    since,
    hadFaults: false,
    outputs,
    canaries: [simulator.token, secret, privateKey],
    queue: ["actions-archive:load:meta"],
    processes: [{ name: "worker", rssKb: [100_000, 120_000], peakKb: 130_000, fds: [20, 31, 30, 29] }],
    peakCapKb: 200_000,
    leftovers: [],
    fresh: { seconds: 2, limit: 30 },
    verify: { code: 0, report: JSON.parse(stdout) },
  };
  const { rows } = await client.query<(typeof logs)[number]>(
    "select job_id::float8, log_key, record_key from audit.jobs where log_state = 'archived' and log_flags = '{}' order by job_id",
  );
  logs = rows;
});
afterAll(() => stack.disposeAsync());

function journalOf(all: readonly JournalEntry[]): ArchiveJournal {
  const journal = new ArchiveJournal(simulator);
  for (const entry of all) journal.add(entry);
  return journal;
}

/** @returns the store with some objects replaced or removed. */
function overlay(changes: Readonly<Record<string, Buffer | undefined>>): ObjectSource {
  const { objects } = correct;
  const isThere = (key: string) => !(key in changes) || changes[key] !== undefined;
  return {
    list: async () => [...new Set([...(await objects.list()), ...Object.keys(changes)])].filter(isThere),
    read: async (key) => changes[key] ?? objects.read(key),
  };
}

function logAt(index: number): (typeof logs)[number] {
  const log = logs.at(index);
  if (log === undefined) throw new RangeError(`there is no log ${index}`);
  return log;
}

/** Checks with an update of the database, which is rolled back afterwards. */
async function invariantsOf(planted: Partial<Evidence>, sql = "select"): Promise<string[]> {
  await client.query("begin");
  try {
    await client.query(sql);
    const { violations } = await checkInvariants({ ...correct, ...planted });
    return [...new Set(violations.map(({ invariant }) => invariant))].toSorted();
  } finally {
    await client.query("rollback");
  }
}

test("a correct archive violates no invariant, and all of them are checked", async () => {
  const result = await checkInvariants(correct);
  expect(result.violations).toEqual([]);
  expect(result.checked).toEqual(["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "coverage"]);
  expect(result.archived).toBeGreaterThan(10);
  expect(result.absent).toBeGreaterThan(2);
  expect(result.archived + result.absent).toBe(result.jobs);
  expect(result.attempts["listed"]).toBeGreaterThan(10);
  expect(result.coverage?.days).toBeGreaterThan(8);
});

test("an invariant without evidence is not checked", async () => {
  const { objects, journal } = correct;
  await client.query("begin; drop schema invariants cascade");
  const { checked } = await checkInvariants({ simulator, journal, client, objects, since: undefined, hadFaults: true });
  await client.query("rollback");
  expect(checked).toEqual(["I1", "I2", "I3", "I4", "I6", "I10", "I11"]);
});

test("I1: a job that is lost, or has a wrong state, or is due without a gap", async () => {
  const { job_id } = logAt(0);
  const take = (table: string) => `delete from archive.${table} where job_id = ${job_id};`;
  expect(await invariantsOf({}, take("jobs") + take("steps") + take("log_jobs"))).toContain("I1");
  expect(await invariantsOf({}, `update archive.steps set conclusion = 'failure' where job_id = ${job_id}`)).toEqual(["I1"]);
  // Lines may be unassigned, but never assigned to another step.
  const lines = (count: string) => `update archive.sections set line_count = ${count} where job_id = ${job_id};`;
  const strayed = { invariant: "I1", what: expect.stringMatching(`^lines of other steps of job ${job_id}:`) };
  expect((await inTransaction(lines("1"))).violations).not.toContainEqual(strayed);
  expect((await inTransaction(lines("line_count + 1"))).violations).toContainEqual(strayed);
  expect(await invariantsOf({}, `update archive.logs set log_flags = '{adopted}' where job_id = ${job_id}`)).toEqual(["I1"]);
  expect(
    await invariantsOf({ hadFaults: true }, `update archive.logs set log_flags = '{adopted}' where job_id = ${job_id}`),
  ).toEqual([]);
  const reason = "update archive.logs set log_reason = 'expired' where log_reason = 'not_run'";
  expect(await invariantsOf({}, reason)).toEqual(["I1", "I11"]);
  const owed = `${take("logs")} update archive.log_jobs set log_state = 'pending' where job_id = ${job_id};`;
  const silent = "create or replace view audit.gaps as select * from audit.gaps_then where job_id is null";
  const renamed = "alter view audit.gaps rename to gaps_then;";
  const { violations } = await inTransaction(`${owed} ${renamed} ${silent}`);
  expect(violations).toContainEqual({ invariant: "I1", what: `job ${job_id} is pending, and audit.gaps does not say so` });
  const run = "(select max(run_id) from archive.attempts)";
  expect(await invariantsOf({}, `update archive.attempts set state = 'gone' where run_id = ${run}`)).toContain("I1");
});

async function inTransaction(sql: string) {
  await client.query("begin");
  await client.query(sql);
  const result = await checkInvariants(correct);
  await client.query("rollback");
  return result;
}

test("I2: a log that is truncated, or differs from the source", async () => {
  const { job_id, log_key } = logAt(0);
  const bytes = await correct.objects.read(log_key);
  expect(await invariantsOf({ objects: overlay({ [log_key]: bytes.subarray(0, bytes.length / 2) }) })).toEqual(["I2"]);
  expect(await invariantsOf({ objects: overlay({ [log_key]: await correct.objects.read(logAt(1).log_key) }) })).toEqual(["I2"]);
  expect(await invariantsOf({}, `update archive.logs set raw_bytes = raw_bytes + 1 where job_id = ${job_id}`)).toEqual(["I2"]);
});

test("I3: a row, a log, a record or a download too many", async () => {
  const { log_key, record_key, job_id } = logAt(0);
  const twice = `
    alter view audit.jobs rename to jobs_then;
    create view audit.jobs as select * from audit.jobs_then union all select * from audit.jobs_then where job_id = ${job_id}`;
  expect(await invariantsOf({}, twice)).toContain("I3");
  const conflicting = log_key.replace(".log", `.${createHash("sha256").update("other").digest("hex")}.log`);
  const { violations } = await checkInvariants({
    ...correct,
    objects: overlay({ [conflicting]: await correct.objects.read(log_key) }),
  });
  expect(violations).toContainEqual({ invariant: "I3", what: `${conflicting} conflicts with the log of job ${job_id}` });
  const second = { [record_key.replace(".json", ".2.json")]: await correct.objects.read(record_key) };
  expect(await invariantsOf({ objects: overlay(second) })).toEqual(["I11", "I3"]);
  const download = entries.find(({ origin, status }) => origin === "log" && status === 200);
  const again = journalOf([...entries, ...(download ? [download, download] : [])]);
  expect(await invariantsOf({ journal: again })).toEqual(["I3"]);
  expect(await invariantsOf({ journal: again, hadFaults: true })).toEqual([]);
});

test("I4: a row, a name or an object of something that the simulator did not issue", async () => {
  const { job_id, log_key } = logAt(0);
  const copy = `insert into archive.jobs select (jsonb_populate_record(jobs, '{"job_id": ${job_id + 1}}')).* from archive.jobs where job_id = ${job_id}`;
  expect(await invariantsOf({}, copy)).toContain("I4");
  for (const name of ["notes.txt", "logs/README", ".unfinished.log", "logs/x/../y.log.zst", "seals/1.json"])
    expect(await invariantsOf({ objects: overlay({ [name]: Buffer.from("x") }) })).toEqual(["I4"]);
  const elsewhere = log_key.replace(String(job_id), "1");
  expect(await invariantsOf({ objects: overlay({ [elsewhere]: await correct.objects.read(log_key) }) })).toContain("I4");
  const known = ["probe/1", ".unfinished/1"].map((name) => [name, Buffer.from("x")] as const);
  expect(await invariantsOf({ hadFaults: true, objects: overlay(Object.fromEntries(known)) })).toEqual([]);
});

test("I5: a row that once went back to an earlier state", async () => {
  const { job_id } = logAt(0);
  const back = (change: string, restored: string, table = "log_jobs") =>
    [change, restored].map((set) => `update archive.${table} set ${set} where job_id = ${job_id};`).join("");
  expect(await invariantsOf({}, back("log_state = 'pending'", "log_state = 'archived'"))).toEqual(["I5"]);
  expect(await invariantsOf({}, back("log_state = 'absent'", "log_state = 'archived'"))).toEqual(["I5"]);
  expect(await invariantsOf({}, back("run_attempt = run_attempt + 1", "run_attempt = run_attempt - 1", "jobs"))).toEqual(["I5"]);
  expect(await invariantsOf({}, back("status = 'queued'", "status = 'completed'", "jobs"))).toEqual(["I5"]);
  const shrink = "update archive.windows set window_end = window_end - interval '1 minute'; set constraints all immediate;";
  expect(await invariantsOf({}, shrink)).toContain("I5");
  const attempt = "where run_id = (select min(run_id) from archive.attempts)";
  const reopened = ["gone", "listed"].map((state) => `update archive.attempts set state = '${state}' ${attempt};`);
  expect(await invariantsOf({}, reopened.join(""))).toEqual(["I5"]);
  // Legal transitions: an absent log is archived after all, and a failed one is retried.
  const forward = [["absent", "archived"], ["failed", "pending"], ["pending", "failed"]]; // prettier-ignore
  for (const [from, to] of forward) {
    const steps = `alter table archive.log_jobs disable trigger all; update archive.log_jobs set log_state = '${from}' where job_id = ${job_id};
      alter table archive.log_jobs enable trigger all; update archive.log_jobs set log_state = '${to}' where job_id = ${job_id};`;
    expect(await invariantsOf({}, steps)).not.toContain("I5");
  }
});

test("I6: a request in a pause, or over the budget", async () => {
  const asked = entries.findLast(({ origin, credential }) => origin === "api" && credential !== undefined);
  if (asked?.finishedAt === undefined) throw new Error("nothing was asked");
  const at = (seconds: number) => new Date((asked.finishedAt?.getTime() ?? 0) + seconds * 1000);
  const refused = { ...asked, status: 429, limits: { ...asked.limits, "retry-after": "10" } };
  const after = (seconds: number) => journalOf([...entries, refused, { ...asked, receivedAt: at(seconds) }]);
  expect(await invariantsOf({ journal: after(0.5) })).toEqual([]);
  expect(await invariantsOf({ journal: after(5) })).toEqual(["I6"]);
  expect(await invariantsOf({ journal: after(10.5) })).toEqual([]);
  const exhausted = {
    ...asked,
    status: 403,
    limits: { ...asked.limits, "x-ratelimit-remaining": "0" },
  };
  expect(await invariantsOf({ journal: journalOf([...entries, exhausted, { ...asked, receivedAt: at(60) }]) })).toEqual(["I6"]);
  const slowly = (count: number) => Array.from({ length: count }, (_, index) => ({ ...asked, receivedAt: at(index) }));
  expect(await invariantsOf({ journal: journalOf([...entries, ...slowly(4_001)]) })).toEqual(["I6"]);
  const atOnce = Array.from({ length: 901 }, () => ({ ...asked, receivedAt: at(1) }));
  expect(await invariantsOf({ journal: journalOf([...entries, ...atOnce]) })).toEqual(["I6"]);
});

test("I7: a secret in an output, an object, a row or the queue", async () => {
  const [canary = "", , key = ""] = correct.canaries ?? [];
  const { job_id } = logAt(0);
  const [signature = ""] = correct.journal.signatures;
  const detail = (text: string) => `update archive.log_jobs set log_detail = 'see ${text}' where job_id = ${job_id}`;
  expect(await invariantsOf({ outputs: [{ name: "worker", text: `x${canary}` }] })).toEqual(["I7"]);
  expect(await invariantsOf({ outputs: [{ name: "worker", text: JSON.stringify({ key }) }] })).toEqual(["I7"]);
  expect(await invariantsOf({ outputs: [{ name: "worker", text: `?sig=${encodeURIComponent(signature)}&sp=r` }] })).toEqual([
    "I7",
  ]);
  expect(await invariantsOf({ objects: overlay({ "probe/1": Buffer.from(secret) }) })).toEqual(["I7"]);
  expect(await invariantsOf({}, detail(secret))).toEqual(["I7"]);
  expect(await invariantsOf({}, detail(signature))).toEqual(["I7"]);
  const stray = `create schema if not exists queue; create table queue.jobs as select convert_to('${secret}', 'UTF8') as data`;
  expect(await invariantsOf({}, stray)).toEqual(["I7"]);
  expect(await invariantsOf({ queue: [`{"url":"x?sig=${signature}"}`] })).toEqual(["I7"]);
});

test("I8: too much memory, files that stay open, files that stay behind", async () => {
  const use = { name: "worker", rssKb: [1], peakKb: 1, fds: [20] };
  expect(await invariantsOf({ processes: [{ ...use, peakKb: 200_001 }] })).toEqual(["I8"]);
  expect(await invariantsOf({ processes: [{ ...use, rssKb: [1, 200_001, 1] }] })).toEqual(["I8"]);
  expect(await invariantsOf({ processes: [{ ...use, fds: [5, 20, 25, 30, 31, 32, 33, 50, 50, 50] }] })).toEqual(["I8"]);
  expect(await invariantsOf({ processes: [{ ...use, fds: [5, 20, 25, 30, 31, 32, 33, 50, 50, 30] }] })).toEqual([]);
  expect(await invariantsOf({ leftovers: ["spool/1"] })).toEqual(["I8"]);
  expect(await invariantsOf({ objects: overlay({ ".unfinished/1": Buffer.from("x") }) })).toEqual(["I8"]);
});

test("I9: a fresh job that is archived too late, or never; a worker that crashed", async () => {
  expect(await invariantsOf({ fresh: { seconds: 31, limit: 30 } })).toEqual(["I9"]);
  expect(await invariantsOf({ fresh: { seconds: undefined, limit: 30 } })).toEqual(["I9"]);
  const { stderr } = spawnSync(process.execPath, ["--eval", "setImmediate(() => { throw new Error('uncaught') })"], {
    encoding: "utf8",
  });
  expect(await invariantsOf({ outputs: [{ name: "worker", text: `{"msg":"started"}\n${stderr}` }] })).toEqual(["I9"]);
  expect(await invariantsOf({ outputs: [{ name: "worker", text: '{"msg":"Node.js v26 is fine"}\n' }] })).toEqual([]);
});

test("I10: what verify finds, and a chain with a hole or another seal in it", async () => {
  const report = { findings: [{ result: "missing", key: "seals/000000000002.json", detail: "" }] };
  expect(await invariantsOf({ verify: { code: 1, report } })).toEqual(["I10"]);
  expect(await invariantsOf({ verify: { code: 2, report: undefined } })).toEqual(["I10"]);
  expect(await invariantsOf({ verify: { code: 0, report } })).toEqual(["I10"]);
  const [first, second] = ["seals/000000000001.json", "seals/000000000002.json"] as const;
  expect(await invariantsOf({ objects: overlay({ [first]: undefined }) })).toContain("I10");
  expect(await invariantsOf({ objects: overlay({ [second]: await correct.objects.read(first) }) })).toContain("I10");
  expect(await invariantsOf({}, `update archive.seals set sha256 = repeat('0', 64) where sequence = 2`)).toEqual(["I10"]);
});

test("I11: a record, a log or a run record that is missing, and an object that is in no seal", async () => {
  const { record_key, log_key } = logAt(0);
  expect(await invariantsOf({ objects: overlay({ [record_key]: undefined }) })).toEqual(["I11"]);
  const sidecars = (await correct.objects.list()).filter((name) => name.includes(`.${log_key.split("/").at(-1)}.`));
  const gone = Object.fromEntries([log_key, ...sidecars].map((key) => [key, undefined]));
  expect(await invariantsOf({ objects: overlay(gone) })).toEqual(["I11"]);
  const runs = (await correct.objects.list()).filter((name) => name.startsWith("runs/"));
  expect(await invariantsOf({ objects: overlay({ [runs[0] ?? ""]: undefined }) })).toEqual(["I11"]);
  const seal = "seals/000000000001.json";
  const { payload } = JSON.parse((await correct.objects.read(seal)).toString()) as { payload: string };
  const opened = JSON.parse(Buffer.from(payload, "base64").toString()) as { entries: unknown[] };
  const shorter = { ...opened, entries: opened.entries.slice(1) };
  const planted = Buffer.from(JSON.stringify({ payload: Buffer.from(JSON.stringify(shorter)).toString("base64") }));
  expect(await invariantsOf({ objects: overlay({ [seal]: planted }) })).toEqual(["I10", "I11"]);
});

test("coverage: a day that is missing, or has wrong counts", async () => {
  const cut = "update archive.windows set window_start = window_start + interval '1 hour'";
  expect(await invariantsOf({}, cut)).toEqual(["coverage"]);
  const full =
    "insert into archive.full_seconds (repository_id, second_start) select repository_id, '2020-01-01' from archive.repositories";
  expect(await invariantsOf({}, full)).toEqual(["coverage"]);
});

test("a bucket is listed and read under its prefix", async () => {
  await using s3 = await startTestS3();
  const { endpoint, region, bucket, prefix, accessKeyId, secretAccessKey } = s3;
  const sdk = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  for (const key of [`${prefix}/archive.json`, `${prefix}/probe/1`, `${prefix}-not/1`])
    await sdk.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: `of ${key}` }));
  sdk.destroy();
  using source = s3Source(s3);
  expect((await source.list()).toSorted()).toEqual(["archive.json", "probe/1"]);
  expect((await source.read("probe/1")).toString()).toBe(`of ${prefix}/probe/1`);
});

// s3rver cannot list a second page on a current Node, and a thousand objects make a page.
test("a bucket is listed over all its pages", async () => {
  const page = (keys: readonly string[], next?: string) =>
    `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${next === undefined ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`}
    ${keys.map((key) => `<Contents><Key>mine/${key}</Key></Contents>`).join("")}</ListBucketResult>`;
  const server = createServer((request, response) => {
    const token = new URL(request.url ?? "", "http://s3").searchParams.get("continuation-token");
    const pages: Record<string, string> = { second: page(["b"], "third"), third: page(["c"]) };
    response.setHeader("content-type", "application/xml").end(pages[token ?? ""] ?? page(["a"], "second"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // The address of a TCP server is an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const keys = { accessKeyId: "x", secretAccessKey: "x" };
  {
    using source = s3Source({ endpoint: `http://127.0.0.1:${port}`, region: "us-east-1", bucket: "b", prefix: "mine", ...keys });
    expect(await source.list()).toEqual(["a", "b", "c"]);
  }
  server.close();
});
