import { createHash, generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { makeSeal, type Seal } from "@actions-archive/archive/seal/seal";
import { signSeal, verifySeal } from "@actions-archive/archive/seal/seal-envelope";
import { openSigner, type Signer } from "@actions-archive/archive/seal/seal-key";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import type { Store } from "@actions-archive/archive/store/store";
import { withCalls } from "@actions-archive/archive/test-support/changed-store";
import { sampleSeal } from "@actions-archive/archive/test-support/seal-samples";
import { conflictingLogKey, logKey, sealKey } from "@actions-archive/core/object-key";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { addWindow } from "@actions-archive/database/ledger/windows";
import { jobId, repositoryId, runId } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { absent, archived, type Harness, host, openHarness } from "../../test-support/harness.ts";
import { removeTombstoned } from "../retention/apply-retention.ts";
import { loadRecords } from "../rows/load-records.ts";
import { loadRun } from "../rows/load-run.ts";
import { adoptSeals } from "./adopt-seals.ts";
import { sealArchive, type Sealer } from "./seal-archive.ts";
import { openSealer } from "./start-sealing.ts";

function newKey(): { pem: string; signer: Signer } {
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  return { pem, signer: openSigner(pem) };
}

const { pem, signer } = newKey();
const config = { SEAL_KEY: pem, SEAL_KEY_FILE: undefined, SEAL_INTERVAL_SECONDS: 3600 };

async function openTestSealer(harness: Harness, key = config): Promise<Sealer> {
  const [identity] = await harness.ask("select archive_id from archive.identity");
  const sealer = await openSealer(key, { loader: harness.loader, archiveId: String(identity?.["archive_id"]) });
  if (sealer === undefined) throw new Error("there is a key");
  return sealer;
}

/** Every seal of the store, after checks of its signature and its link to the previous one. */
async function readChain(harness: Harness, keys: readonly Signer[] = [signer]): Promise<Seal[]> {
  const seals: Seal[] = [];
  let previous = "0".repeat(64);
  for (let sequence = 1; ; sequence += 1) {
    const bytes = await harness.loader.store.read(sealKey(sequence));
    if (bytes === undefined) break;
    const keyId = (JSON.parse(bytes.toString()) as { signatures: { keyid: string }[] }).signatures[0]?.keyid;
    const key = keys.find((each) => each.keyId === keyId);
    if (key === undefined) throw new Error(`seal ${sequence} is signed by a foreign key`);
    const { seal, sha256 } = verifySeal(bytes, key.publicKey, sealKey(sequence));
    expect(seal).toMatchObject({ sequence, previous_sha256: previous, host });
    previous = sha256;
    seals.push(seal);
  }
  return seals;
}

const entriesOf = (seals: readonly Seal[]) => seals.flatMap(({ entries }) => entries.map(({ key }) => key));

/** The rows of a record of one more job. */
async function addJob(harness: Harness, id: number): Promise<string> {
  await harness.owe({ id });
  const key = await harness.record(id, archived(id));
  await loadRecords(harness.loader, [{ job_id: id, key }]);
  return key;
}

async function putFile(harness: Harness, key: string, bytes: Buffer): Promise<void> {
  const path = join(fileURLToPath(harness.loader.store.url), key);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("what was loaded is sealed once, by key, version, size and hash; and a seal is made also when nothing happened", async () => {
  await using harness = await openHarness();
  await harness.owe();
  const first = await harness.record(jobId, absent);
  const second = await harness.record(jobId, archived());
  await harness.ask("update archive.attempts set state = 'listed', listed_at = '2026-05-02T00:00:00Z'");
  await loadRun(harness.loader, { run_id: runId, run_attempt: 1 });
  const sealer = await openTestSealer(harness);
  // The first version's own message was lost.
  await loadRecords(harness.loader, [{ job_id: jobId, key: second }]);
  await loadRecords(harness.loader, [{ job_id: jobId, key: second }]);

  const published = await sealArchive(sealer);
  await sealArchive(sealer);
  const [seal, empty] = await readChain(harness);
  const sized = await Promise.all(
    ["archive.json", first, second, `runs/${host}/${repositoryId}/${runId}/1.json`].map(async (key) => {
      const bytes = (await harness.loader.store.read(key)) ?? Buffer.alloc(0);
      return { key, version_id: null, size: bytes.length, sha256: hashOf(bytes) };
    }),
  );
  const log = { key: logKey(host, { repository_id: repositoryId, run_id: runId, job_id: jobId }), version_id: null, size: 1_000 };
  const expected = [...sized, { ...log, sha256: String(jobId).padStart(64, "0") }];
  expect(seal?.entries).toEqual(expected.toSorted((a, b) => (a.key < b.key ? -1 : 1)));
  expect(empty).toMatchObject({ sequence: 2, entries: [] });
  expect(await harness.ask("select sequence::integer, entries, sha256 from audit.seals order by 1")).toMatchObject([
    { sequence: 1, entries: 5, sha256: published?.sha256 },
    { sequence: 2, entries: 0 },
  ]);
  expect(await harness.ask("select count(*)::integer from audit.objects where seal = 1")).toEqual([{ count: 5 }]);
  expect(await harness.ask("select kind from audit.gaps where kind = 'not_sealed'")).toEqual([]);
});

test("no seal is made before the interval has passed, unless more waits than one seal holds", async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  expect(await sealArchive(sealer, { intervalSeconds: 3600 })).toMatchObject({ sequence: 1 });
  await addJob(harness, jobId);
  expect(await sealArchive(sealer, { intervalSeconds: 3600 })).toBeUndefined();
  await harness.ask("update archive.seals set sealed_at = sealed_at - interval '1 hour'");
  expect(await sealArchive(sealer, { intervalSeconds: 3600 })).toMatchObject({ sequence: 2 });
});

test("a log that no record names is sealed as the store has it", async () => {
  await using harness = await openHarness();
  await harness.owe();
  await harness.owe({ id: jobId + 1 });
  const [one, two] = [jobId, jobId + 1].map((job_id) => ({ repository_id: repositoryId, run_id: runId, job_id })) as [
    Parameters<typeof logKey>[1],
    Parameters<typeof logKey>[1],
  ];
  const left = Buffer.from("left by a worker that died");
  await putFile(harness, logKey(host, one), left);
  await harness.ask(`insert into archive.log_leases (job_id, worker) values (${one.job_id}, 'dead')`);
  // Of the other job, other bytes were read later: its record names the extra log.
  await putFile(harness, logKey(host, two), left);
  const raw_sha256 = hashOf(Buffer.from("raw"));
  const extraKey = conflictingLogKey(host, two, raw_sha256);
  const log = { ...archived(two.job_id), key: extraKey, raw_sha256 } as ReturnType<typeof archived>;
  const key = await harness.record(two.job_id, log);
  await loadRecords(harness.loader, [{ job_id: two.job_id, key }]);

  await sealArchive(await openTestSealer(harness));
  const [seal] = await readChain(harness);
  const sealed = { version_id: null, size: left.length, sha256: hashOf(left) };
  expect(seal?.entries).toEqual(
    expect.arrayContaining([
      { key: logKey(host, one), ...sealed },
      { key: logKey(host, two), ...sealed },
    ]),
  );
  expect(entriesOf(await readChain(harness))).toContain(extraKey);
});

test("a window is carried with the attempts that it covers, and again when either changes", async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  const window = { start: new Date("2026-05-01T00:00:00Z"), end: new Date("2026-05-02T00:00:00Z") };
  await addWindow(harness.loader.db, repositoryId, window);
  await sealArchive(sealer);
  await finishCheck(harness.loader.db, { run_id: runId, run_attempt: 1 }, { state: "gone" });
  await sealArchive(sealer);
  await sealArchive(sealer);
  const [first, second, third] = await readChain(harness);
  const attempt = { repository_id: repositoryId, repository: "acme/app", run_id: runId, run_attempt: 1 };
  expect(first?.ledger).toMatchObject({
    windows: [{ repository: "acme/app", window_start: window.start.toISOString(), window_end: window.end.toISOString() }],
    attempts: [{ ...attempt, state: "open" }],
  });
  expect(second?.ledger).toMatchObject({ windows: [], attempts: [{ ...attempt, state: "gone" }], gaps: { attempt_gone: 1 } });
  expect(third?.ledger).toMatchObject({ windows: [], attempts: [] });
});

const dead = (store: Store) => withCalls(store, () => Promise.reject(new Error("died")));

/** Fails the n-th external call: of the database before it, of the store before or after it takes effect. */
function failing(sealer: Sealer, at: number, moment: "before" | "after"): { sealer: Sealer; calls: () => number } {
  let calls = 0;
  const isIt = () => (calls += 1) === at;
  const crash = () => new Error(`crashed ${moment} call ${at}`);
  const db = sealer.db.withPlugin({
    transformQuery({ node }) {
      if (isIt() && moment === "before") throw crash();
      return node;
    },
    transformResult: async ({ result }) => {
      if (calls === at && moment === "after") throw crash();
      return result;
    },
  });
  const store = withCalls(sealer.store, async ({ make }) => {
    const isLast = isIt();
    if (isLast && moment === "before") throw crash();
    const result: unknown = await make();
    if (isLast) throw crash();
    return result;
  });
  return { sealer: { ...sealer, db, store }, calls: () => calls };
}

test("a crash at any call leads to one chain that holds each object once", { timeout: 300_000 }, async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  const keys = ["archive.json"];
  let id = jobId;
  let crashes = 0;
  for (const moment of ["before", "after"] as const) {
    for (let at = 1; ; at += 1) {
      id += 1;
      keys.push(await addJob(harness, id), logKey(host, { repository_id: repositoryId, run_id: runId, job_id: id }));
      const { sealer: doomed, calls } = failing(sealer, at, moment);
      const outcome = await sealArchive(doomed).catch((error: unknown) => error);
      if (calls() < at) break;
      expect(String(outcome)).toContain(`crashed ${moment}`);
      crashes += 1;
      // Every other time the whole process crashed, and another one compares the chains first.
      await sealArchive(at % 2 === 0 ? sealer : await openTestSealer(harness));
    }
  }
  await sealArchive(sealer);
  const chain = await readChain(harness);
  expect(crashes).toBeGreaterThan(20);
  expect(entriesOf(chain).toSorted()).toEqual(keys.toSorted());
  const [head] = await harness.ask(
    "select max(sequence)::integer as head, count(*) filter (where published_at is null)::integer as open from archive.seals",
  );
  expect(head).toEqual({ head: chain.length, open: 0 });
});

test("two loaders at once make one chain", async () => {
  await using harness = await openHarness();
  const sealers = [await openTestSealer(harness), await openTestSealer(harness), await openTestSealer(harness)];
  const keys = ["archive.json"];
  for (let id = jobId; id < jobId + 12; id += 1) {
    keys.push(await addJob(harness, id), logKey(host, { repository_id: repositoryId, run_id: runId, job_id: id }));
    await Promise.all(sealers.map((sealer) => sealArchive(sealer)));
  }
  expect(entriesOf(await readChain(harness)).toSorted()).toEqual(keys.toSorted());
  expect(harness.errors).toEqual([]);
});

/** Resets the database to the state before the seals after `sequence`, and before their objects were loaded. */
async function restoreBefore(harness: Harness, sequence: number): Promise<void> {
  await harness.ask(`
    delete from archive.objects where sealed_in > ${sequence} and job_id % 2 = 0;
    update archive.objects set sealed_in = null where sealed_in > ${sequence};
    update archive.attempts set sealed_in = null where sealed_in > ${sequence};
    delete from archive.seals where sequence > ${sequence}`);
}

test.each([true, false])(
  "a database from before the last three seals goes on where the store's chain ends (a seal was prepared since: %s)",
  async (isPrepared) => {
    await using harness = await openHarness();
    const sealer = await openTestSealer(harness);
    for (let id = jobId; id < jobId + 5; id += 1) {
      await addJob(harness, id);
      await sealArchive(sealer);
    }
    await harness.ask("insert into archive.holds (job_id, is_held, reason) values (1, true, 'case 7')");
    await sealArchive(sealer);
    const before = await readChain(harness);
    await restoreBefore(harness, 3);
    await harness.ask("update archive.holds set sealed_in = null");
    if (isPrepared) {
      const { sealer: doomed } = failing(sealer, 1_000, "before");
      await sealArchive({
        ...doomed,
        store: dead(doomed.store),
      }).catch(() => {});
    }
    const prepared = await harness.ask("select sequence::integer from archive.seals where published_at is null");
    expect(prepared).toEqual(isPrepared ? [{ sequence: 4 }] : []);
    const again = await openTestSealer(harness);
    await addJob(harness, jobId + 9);
    await sealArchive(again);
    const chain = await readChain(harness);
    expect(chain.slice(0, -1)).toEqual(before);
    expect(chain.at(-1)?.entries.map(({ key }) => key.split("/")[0])).toEqual(["logs", "records"]);
    expect(new Set(entriesOf(chain)).size).toBe(entriesOf(chain).length);
    expect(chain.at(-1)?.holds).toEqual([]);
    expect(await harness.ask("select job_id::integer, sealed_in::integer from archive.holds")).toEqual([
      { job_id: 1, sealed_in: 6 },
    ]);
  },
);

test("an empty database takes the whole chain over", async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  for (const id of [jobId, jobId + 1, jobId + 2]) {
    await addJob(harness, id);
    await sealArchive(sealer);
  }
  const rows =
    "select object_key, version_id, size_bytes, sha256, repository_id, run_id, job_id, sealed_in from archive.objects order by 1";
  const seals = "select sequence, sealed_at, entries, previous_sha256, sha256, key_id from archive.seals order by 1";
  const before = [await harness.ask(rows), await harness.ask(seals)];
  await harness.ask("truncate archive.objects, archive.seals");
  await openTestSealer(harness);
  const after = [await harness.ask(rows), await harness.ask(seals)];
  // Recorded with milliseconds in the seal.
  expect(JSON.parse(JSON.stringify(after))).toEqual(JSON.parse(JSON.stringify(before)));
});

test("of a chain that no key stands for nothing is removed, and a forged end is found when a key comes", async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  const recordKey = await addJob(harness, jobId);
  await harness.ask("insert into archive.holds (job_id, is_held) values (1, true)");
  await sealArchive(sealer);
  const bytes = (await harness.loader.store.read(sealKey(1))) ?? Buffer.alloc(0);
  const { seal, sha256 } = verifySeal(bytes, signer.publicKey, sealKey(1));
  const log = seal.entries.find(({ key }) => key.startsWith("logs/"));
  if (log === undefined) throw new Error("the log was sealed");
  const forged = makeSeal({
    ...seal,
    sequence: 2,
    previous_sha256: sha256,
    entries: [],
    tombstones: [{ ...log, job_id: jobId, repository_id: repositoryId, cause: "erase", reason: "x", decided_at: seal.sealed_at }],
    holds: [{ job_id: 1, is_held: false, reason: null, changed_at: seal.sealed_at }],
    policies: [{ name: "acme", keep_days: 1, changed_at: seal.sealed_at }],
  });
  // It names our key, but another key signed it.
  await putFile(harness, sealKey(2), await signSeal(canonicalBytes(forged), newKey().signer));
  await harness.ask("truncate archive.objects, archive.seals, archive.holds");
  await adoptSeals({ ...sealer, publicKey: undefined });
  // Loaded again, the record makes its removed log due for removal.
  await loadRecords(harness.loader, [{ job_id: jobId, key: recordKey }]);
  await putFile(harness, log.key, Buffer.from("log"));
  expect(await harness.ask("select log_reason from audit.jobs")).toEqual([{ log_reason: "removed" }]);
  expect(await removeTombstoned(harness.loader)).toBe(0);
  expect(await harness.loader.store.read(log.key)).toEqual(Buffer.from("log"));
  expect(await harness.ask("select is_held from archive.holds")).toEqual([{ is_held: true }]);
  expect(await harness.ask("select from archive.retention_policies")).toEqual([]);
  await expect(openTestSealer(harness)).rejects.toThrow(/seals\/000000000002\.json.*is not signed by the expected key/);
});

test("a foreign seal under the next number is refused, and names itself", async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  await sealArchive(sealer);
  const foreign = newKey().signer;
  await putFile(harness, sealKey(2), await signSeal(canonicalBytes({ ...sampleSeal(foreign, []), sequence: 2 }), foreign));
  await expect(sealArchive(sealer)).rejects.toThrow(/seals\/000000000002\.json.*is signed by key/);
  await expect(openTestSealer(harness)).rejects.toThrow(/seals\/000000000002\.json/);
  await rm(join(fileURLToPath(harness.loader.store.url), sealKey(2)));
  expect(await sealArchive(sealer)).toMatchObject({ sequence: 2 });
});

test("a chain whose end is gone from the store, or is another, is not continued", async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  await sealArchive(sealer);
  await sealArchive(sealer);
  await rm(join(fileURLToPath(harness.loader.store.url), sealKey(2)));
  await expect(openTestSealer(harness)).rejects.toThrow(/seals\/000000000002\.json is missing from file:/);
});

test("a new key seals after the old one has announced it, and not before", async () => {
  await using harness = await openHarness();
  const sealer = await openTestSealer(harness);
  await sealArchive(sealer);
  const next = newKey();
  await expect(openTestSealer(harness, { ...config, SEAL_KEY: next.pem }).then((early) => sealArchive(early))).rejects.toThrow(
    /must be signed by key .* SEAL_KEY holds/,
  );
  // A prepared seal that a crash left is published first, and announces nothing.
  await expect(sealArchive({ ...sealer, store: dead(sealer.store) })).rejects.toThrow("died");
  const nextKey = next.signer.publicKey;
  expect(await sealArchive(sealer, { nextKey })).toMatchObject({ sequence: 2, hasRequestedContent: false });
  expect(await sealArchive(sealer, { nextKey })).toMatchObject({ sequence: 3, hasRequestedContent: true });
  await expect(sealArchive(sealer)).rejects.toThrow(/must be signed by key/);
  const rotated = await openTestSealer(harness, { ...config, SEAL_KEY: next.pem });
  await addJob(harness, jobId);
  await sealArchive(rotated);
  const chain = await readChain(harness, [signer, next.signer]);
  expect(chain.map(({ key_id }) => key_id)).toEqual([signer.keyId, signer.keyId, signer.keyId, next.signer.keyId]);
});
