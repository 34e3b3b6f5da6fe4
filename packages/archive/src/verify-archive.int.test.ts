import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { conflictingLogKey, sealKey } from "@actions-archive/core/object-key";
import { realS3, startTestS3, type TestS3 } from "@actions-archive/testkit/test-s3";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { withMethods } from "./changed-store.test-support.ts";
import { openStore, probeStore } from "./open-store.ts";
import { putRecord } from "./records.ts";
import { newSigner } from "./seal-samples.test-support.ts";
import type { Tombstone } from "./seal.ts";
import { firstRecordOf, host, openSealedStore, put, recordOf, refOf, type SealedStore } from "./sealed-store.test-support.ts";
import type { Store } from "./store.ts";
import { verifyArchive, type VerifyOptions, type VerifyResult } from "./verify-archive.ts";

const hourMs = 60 * 60 * 1000;
const [signer, next, stranger] = [newSigner(), newSigner(), newSigner()];

async function openFolder(firstSealedAt?: Date): Promise<SealedStore & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-verify-"));
  const store = await openStore({ ARCHIVE_URL: pathToFileURL(folder) });
  const sealed = await openSealedStore(store, firstSealedAt);
  return { ...sealed, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

const pathOf = ({ store }: SealedStore, key: string) => join(fileURLToPath(store.url), key);

async function overwrite(sealed: SealedStore, key: string, bytes: Buffer): Promise<void> {
  await chmod(pathOf(sealed, key), 0o644);
  await writeFile(pathOf(sealed, key), bytes);
}

async function verify({ store }: SealedStore, options: Partial<VerifyOptions> = {}) {
  const result = await verifyArchive(store, {
    keys: [signer.publicKey],
    isDeep: () => true,
    sealIntervalSeconds: 3600,
    ...options,
  });
  return { ...result, ...tell(result) };
}

function tell({ findings }: VerifyResult) {
  const short = ({ verdict, key }: { verdict: string; key: string }) => `${verdict} ${key}`;
  return { tampering: findings.tampering.map(short), notices: findings.notices.map(short) };
}

function tombstoneOf(sealed: SealedStore, key: string): Tombstone {
  const ids = { job_id: 10, repository_id: 1 };
  return { ...sealed.entryOf(key), ...ids, cause: "erase", reason: "a secret", decided_at: "2026-05-02T10:00:00.000Z" };
}

const longText = () =>
  Buffer.from(
    randomBytes(3_600_000)
      .toString("base64")
      .replaceAll(/.{100}/g, "$&\n"),
  );

/** One reading in ten comes with a flipped bit; `draws`, from 0 to 1, say which and where. */
function onBadLine(store: Store, draws: readonly number[]): Store {
  let drawn = 0;
  const draw = () => draws[drawn++ % draws.length] ?? 0;
  const spoil = (bytes: Buffer) => {
    const copy = Buffer.from(bytes);
    const place = Math.floor(draw() * copy.length);
    if (copy.length > 0) copy.writeUInt8(copy.readUInt8(place) ^ (1 << Math.floor(draw() * 8)), place);
    return copy;
  };
  async function* spoilFirst(stream: AsyncIterable<Buffer>) {
    let isFirst = true;
    for await (const chunk of stream) {
      yield isFirst ? spoil(chunk) : chunk;
      isFirst = false;
    }
  }
  const isBad = () => draw() < 0.1;
  return withMethods(store, {
    async read(...args) {
      const bytes = await store.read(...args);
      return bytes && isBad() ? spoil(bytes) : bytes;
    },
    async open(...args) {
      const stream = await store.open(...args);
      return stream && isBad() ? spoilFirst(stream) : stream;
    },
  });
}

test("a line that spoils one reading in ten makes no finding, and hides none", async () => {
  await using sealed = await openFolder();
  const keys = [];
  for (let job = 1; job <= 12; job++) keys.push(await sealed.addJob(job, `the log of job ${job}\n`));
  // Over what is read in one piece.
  keys.push(await sealed.addJob(13, Buffer.concat([longText(), longText()])));
  await sealed.seal(signer);
  for (let job = 14; job <= 24; job++) keys.push(await sealed.addJob(job, `the log of job ${job}\n`));
  await sealed.seal(signer);
  // Neither biased nor shrunk: a line that spoils each reading alike is one that nobody can tell from a store that does.
  const oneDraw = fc.nat(999_999).map((draw) => draw / 1_000_000);
  const anyDraws = fc.noShrink(fc.noBias(fc.array(oneDraw, { minLength: 300, maxLength: 300 })));
  const findsNothing = fc.asyncProperty(anyDraws, async (draws) => {
    expect(await verify({ ...sealed, store: onBadLine(sealed.store, draws) })).toMatchObject({ tampering: [] });
  });
  await fc.assert(findsNothing, { numRuns: 4 });
  const [small = "", large = ""] = [keys[3], keys[12]];
  for (const key of [small, large]) {
    const changed = await readFile(pathOf(sealed, key));
    changed.writeUInt8(changed.readUInt8(9) ^ 1, 9);
    await overwrite(sealed, key, changed);
  }
  const findsBoth = fc.asyncProperty(anyDraws, async (draws) => {
    const { tampering } = await verify({ ...sealed, store: onBadLine(sealed.store, draws) });
    expect(tampering.toSorted()).toEqual([`invalid ${small}`, `invalid ${large}`].toSorted());
  });
  await fc.assert(findsBoth, { numRuns: 2 });
});

test("logs of every size are read to their last byte", async () => {
  await using sealed = await openFolder();
  const keys = [await sealed.addJob(10, "short\n"), await sealed.addJob(11, longText())];
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [], totals: { logs: 2, logsRead: 2 } });
  for (const key of keys) {
    const whole = await readFile(pathOf(sealed, key));
    // In the text, between frames, and in the seek table at the end.
    for (const at of [8, whole.length - 30, whole.length - 1]) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 4;
      await overwrite(sealed, key, changed);
      expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${key}`] });
    }
    await overwrite(sealed, key, whole);
  }
  expect(await verify(sealed)).toMatchObject({ tampering: [] });
});

test("an object in no seal waits for one while it is young, and is unexpected once a seal should hold it", async () => {
  await using sealed = await openFolder();
  await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  await sealed.addJob(11, "two\n");
  const record = firstRecordOf(11);
  const log = "logs/github.com/1/2/11.log.zst";
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [`unsealed ${log}`, `unsealed ${record}`] });
  const old = new Date(Date.now() - 2 * hourMs - 1000);
  await utimes(pathOf(sealed, record), old, old);
  expect(await verify(sealed)).toMatchObject({ tampering: [`unexpected ${record}`], notices: [`unsealed ${log}`] });
  expect(await verify(sealed, { sealIntervalSeconds: 7200 })).toMatchObject({ tampering: [] });
});

test("what is in no seal is held against its key, however young it is", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const record = await readFile(pathOf(sealed, firstRecordOf(10)));
  await put(sealed.store, firstRecordOf(12), record);
  await putRecord(sealed.store, host, refOf(10), {
    ...recordOf(10, { ...archivedLogOf(record), raw_bytes: 99 }),
  });
  await put(sealed.store, "records/github.com/1/2/10.4.json", record);
  const { tampering } = await verify(sealed);
  expect(tampering.toSorted()).toEqual(
    [
      `invalid ${log}`,
      "invalid records/github.com/1/2/10.4.json",
      `invalid ${firstRecordOf(12)}`,
      "missing records/github.com/1/2/10.3.json",
    ].toSorted(),
  );
});

function archivedLogOf(record: Buffer) {
  // What this file wrote.
  return (JSON.parse(record.toString()) as { log: Extract<ReturnType<typeof recordOf>["log"], { state: "archived" }> }).log;
}

test("foreign objects among the archive's are unexpected, and beside it only told", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  for (const key of ["notes.txt", "logs/x", "other/x", "probe/x"]) await put(sealed.store, key, Buffer.from("x"));
  await writeFile(pathOf(sealed, ".DS_Store"), "x");
  const { tampering, notices } = await verify(sealed);
  expect({ tampering, notices }).toEqual({
    tampering: ["unexpected logs/x", "unexpected notes.txt"],
    notices: ["foreign .DS_Store", "foreign other/x"],
  });
});

test("a tombstone excuses what was sealed before it, and not what is sealed again after it", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const tombstones = [tombstoneOf(sealed, log)];
  await sealed.seal(signer, { tombstones });
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [`tombstoned ${log}`], totals: { removed: 0 } });
  await rm(pathOf(sealed, log));
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [], totals: { removed: 1 } });
  await sealed.seal(signer, { entries: [sealed.entryOf(log)] });
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${log}`] });
});

test("a log that is removed while it is verified is excused by the seal that was made meanwhile", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const tombstones = [tombstoneOf(sealed, log)];
  let isWalked = false;
  const store = withMethods(sealed.store, {
    async listVersions(prefix) {
      if (!isWalked) {
        isWalked = true;
        await sealed.seal(signer, { tombstones });
        await rm(pathOf(sealed, log));
      }
      return sealed.store.listVersions(prefix);
    },
  });
  expect(await verify({ ...sealed, store })).toMatchObject({
    tampering: [],
    totals: { removed: 1 },
    chain: { head: { sequence: 1 } },
  });
  expect(isWalked).toBe(true);
});

test("a tombstone of other bytes excuses nothing", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  await sealed.seal(signer, { tombstones: [{ ...tombstoneOf(sealed, log), sha256: "0".repeat(64) }] });
  await rm(pathOf(sealed, log));
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${log}`] });
});

test("a log that was removed while it waited for its seal may be sealed and gone", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  const bytes = await readFile(pathOf(sealed, log));
  const { stored_sha256: sha256 } = archivedLogOf(await readFile(pathOf(sealed, firstRecordOf(10))));
  const entry = { key: log, version_id: null, size: bytes.length, sha256 };
  const decided = {
    job_id: 10,
    repository_id: 1,
    cause: "erase" as const,
    reason: "a secret",
    decided_at: "2026-05-02T10:00:00.000Z",
  };
  await sealed.seal(signer, { entries: [], tombstones: [{ ...entry, ...decided }] });
  await rm(pathOf(sealed, log));
  await sealed.seal(signer, { entries: [entry] });
  const { tampering } = await verify(sealed);
  expect(tampering).toEqual([]);
});

test("damage that a seal admits is told; only what repairs it makes it no tampering", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const intact = await readFile(pathOf(sealed, log));
  await overwrite(sealed, log, Buffer.from("damaged"));
  const { raw_sha256 } = archivedLogOf(await readFile(pathOf(sealed, firstRecordOf(10))));
  const repair = conflictingLogKey(host, refOf(10), raw_sha256);
  const damage = { key: log, finding: "damaged" as const, found_at: "2026-05-02T10:00:00.000Z", repaired_by: null };
  await sealed.seal(signer, { damages: [damage] });
  expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${log}`], notices: [`damaged ${log}`] });
  // Its size and metadata may be right: what is said to be damaged is read at any depth, and so is what was restored.
  const flipped = Buffer.from(intact);
  flipped[12] = (flipped[12] ?? 0) ^ 1;
  await overwrite(sealed, log, flipped);
  expect(await verify(sealed, { isDeep: () => false })).toMatchObject({ tampering: [`invalid ${log}`] });
  await overwrite(sealed, log, intact);
  expect(await verify(sealed, { isDeep: () => false })).toMatchObject({ tampering: [] });
  await overwrite(sealed, log, Buffer.from("damaged"));
  await sealed.addJob(10, "one\n");
  await sealed.seal(signer, { damages: [{ ...damage, repaired_by: repair }] });
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [`damaged ${log}`] });
  await rm(pathOf(sealed, repair));
  const { tampering } = await verify(sealed);
  expect(tampering.toSorted()).toEqual([`invalid ${log}`, `missing ${repair}`]);
});

test("an announced key signs every seal after, and no other key does", async () => {
  await using sealed = await openFolder();
  const next_key = { key_id: next.keyId, public_key: next.publicKey.export({ type: "spki", format: "der" }).toString("base64") };
  await sealed.seal(signer);
  await sealed.seal(signer, { next_key });
  await sealed.seal(next);
  expect(await verify(sealed)).toMatchObject({
    tampering: [],
    chain: { links: [{ isSigned: true }, { isSigned: true }, { isSigned: true }] },
  });
  const late = await verify(sealed, { keys: [next.publicKey] });
  expect(late).toMatchObject({ tampering: [], chain: { links: [{ isSigned: false }, { isSigned: false }, { isSigned: true }] } });
  expect(await verify(sealed, { keys: [stranger.publicKey] })).toMatchObject({ tampering: [`invalid ${sealKey(3)}`] });
  expect(await verify(sealed, { keys: [stranger.publicKey, next.publicKey] })).toMatchObject({ tampering: [] });
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${sealKey(4)}`] });
});

test("a forged middle of the chain is found by both its neighbours' evidence", async () => {
  await using sealed = await openFolder();
  for (let count = 0; count < 5; count += 1) await sealed.seal(signer);
  await using forged = await openFolder();
  for (let count = 0; count < 3; count += 1) await forged.seal(signer);
  // Signed by the right key, of another archive.
  await overwrite(sealed, sealKey(3), await readFile(pathOf(forged, sealKey(3))));
  const { tampering } = await verify(sealed);
  expect(tampering).toContain(`invalid ${sealKey(3)}`);
  expect(tampering).toContain(`broken chain ${sealKey(4)}`);
  await rm(pathOf(sealed, sealKey(3)));
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${sealKey(3)}`], chain: { isDamaged: true } });
});

test("a seal with a number that somebody made up costs no walk to it", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  await put(sealed.store, sealKey(999_999_999_999), await readFile(pathOf(sealed, sealKey(1))));
  const { tampering } = await verify(sealed);
  expect(tampering).toHaveLength(101);
  expect(tampering).toContain(`broken chain ${sealKey(999_999_999_999)}`);
});

test("a clock that went back is told, and no tampering", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  await sealed.seal(signer, { sealed_at: "2020-01-01T00:00:00.000Z" });
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [`clock ${sealKey(2)}`] });
});

test("only what seals of a span hold is checked, and nothing else of it is called missing", async () => {
  const firstSealedAt = new Date("2026-05-01T00:30:00Z");
  await using sealed = await openFolder(firstSealedAt);
  const early = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const late = await sealed.addJob(11, "two\n");
  await sealed.seal(signer);
  await rm(pathOf(sealed, early));
  const since = new Date("2026-05-01T01:00:00Z");
  expect(await verify(sealed, { span: { since } })).toMatchObject({
    tampering: [],
    sealed: { seals: 1, entries: 2 },
    totals: { logsRead: 1 },
  });
  expect(await verify(sealed, { span: { until: since } })).toMatchObject({ tampering: [`missing ${early}`] });
  await rm(pathOf(sealed, late));
  expect(await verify(sealed, { span: { until: since } })).toMatchObject({ tampering: [`missing ${early}`] });
  expect(await verify(sealed, { span: { since } })).toMatchObject({ tampering: [`missing ${late}`] });
});

test("a sample reads so many of the logs", async () => {
  await using sealed = await openFolder();
  for (let job = 10; job < 30; job += 1) await sealed.addJob(job, `log ${job}\n`);
  await sealed.seal(signer);
  let asked = 0;
  expect(await verify(sealed, { isDeep: () => (asked += 1) % 4 === 0 })).toMatchObject({
    tampering: [],
    totals: { logs: 20, logsRead: 5 },
  });
});

function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: TestS3): S3Client {
  return new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
}

async function openBucket(s3: TestS3) {
  vi.stubEnv("AWS_ACCESS_KEY_ID", s3.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", s3.secretAccessKey);
  const prefix = `${s3.prefix}/${randomBytes(4).toString("hex")}`;
  const store = await openStore({
    ARCHIVE_URL: new URL(`s3://${s3.bucket}/${prefix}`),
    S3_ENDPOINT: new URL(s3.endpoint),
    S3_FORCE_PATH_STYLE: true,
  });
  await probeStore(store);
  const sealed = await openSealedStore(store);
  return { ...sealed, prefix, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

test("a store that does not tell versions is verified without them, and that is said", async () => {
  await using server = await startTestS3();
  await using sealed = await openBucket(server);
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [], hasVersions: false, totals: { logsRead: 1 } });
  const client = clientOf(server);
  await client.send(new DeleteObjectCommand({ Bucket: server.bucket, Key: `${sealed.prefix}/${log}` }));
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${log}`] });
  client.destroy();
});

const versioned = await realS3({ isLocked: true });
test.runIf(versioned !== undefined)("in a bucket with versions, what was put over an object or hides it is found", async () => {
  if (!versioned) return;
  await using sealed = await openBucket(versioned);
  const client = clientOf(versioned);
  const at = (key: string) => ({ Bucket: versioned.bucket, Key: `${sealed.prefix}/${key}` });
  const logs = [await sealed.addJob(10, "one\n"), await sealed.addJob(11, "two\n"), await sealed.addJob(12, "three\n")] as const;
  await sealed.addRun(1, [10, 11, 12]);
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [], hasVersions: true, totals: { logsRead: 3, runRecords: 1 } });
  // The same bytes once more: somebody else wrote them.
  await client.send(new PutObjectCommand({ ...at(firstRecordOf(10)), Body: (await sealed.store.read(firstRecordOf(10))) ?? "" }));
  expect(await verify(sealed)).toMatchObject({ tampering: [`unexpected ${firstRecordOf(10)}`] });
  await client.send(new PutObjectCommand({ ...at(logs[0]), Body: "another" }));
  await client.send(new DeleteObjectCommand(at(logs[1])));
  const { tampering } = await verify(sealed);
  expect(tampering.toSorted()).toEqual(
    [
      `invalid ${logs[0]}`,
      `missing ${logs[1]}`,
      `unexpected ${firstRecordOf(10)}`,
      `unexpected ${logs[0]}`,
      `unexpected ${logs[1]}`,
    ].toSorted(),
  );
  client.destroy();
});

test.runIf(versioned !== undefined)("a removed log may leave a delete marker, and a version that is locked", async () => {
  if (!versioned) return;
  await using sealed = await openBucket(versioned);
  const client = clientOf(versioned);
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  await sealed.seal(signer, { tombstones: [tombstoneOf(sealed, log)] });
  await client.send(new DeleteObjectCommand({ Bucket: versioned.bucket, Key: `${sealed.prefix}/${log}` }));
  expect(await verify(sealed)).toMatchObject({ tampering: [], totals: { removed: 1 } });
  client.destroy();
});
