// Verification of an archive's objects: sealed ones against their seals, unsealed ones against their keys.

import { randomBytes } from "node:crypto";
import { readFile, rm, utimes, writeFile } from "node:fs/promises";

import { hourMs } from "@actions-archive/core/durations";
import fc from "fast-check";
import { expect, test } from "vitest";

import { withMethods } from "../../test-support/changed-store.ts";
import { firstRecordOf, host, put, recordOf, refOf } from "../../test-support/sealed-store.ts";
import { archivedLogOf, openFolder, overwrite, pathOf, signer, verify } from "../../test-support/verify-folder.ts";
import { putRecord } from "../record/records.ts";
import type { Store } from "../store/store.ts";

const longText = () =>
  Buffer.from(
    randomBytes(3_600_000)
      .toString("base64")
      .replaceAll(/.{100}/g, "$&\n"),
  );

/** One read in ten has a flipped bit; `draws`, from 0 to 1, choose the read and the bit. */
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

test("a connection that corrupts one read in ten makes no finding, and hides none", async () => {
  await using sealed = await openFolder();
  const keys = [];
  for (let job = 1; job <= 12; job++) keys.push(await sealed.addJob(job, `the log of job ${job}\n`));
  // Larger than a single read.
  keys.push(await sealed.addJob(13, Buffer.concat([longText(), longText()])));
  await sealed.seal(signer);
  for (let job = 14; job <= 24; job++) keys.push(await sealed.addJob(job, `the log of job ${job}\n`));
  await sealed.seal(signer);
  // Neither biased nor shrunk: equal corruption of every read cannot be distinguished from a damaged store.
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

test("an unsealed object is a notice while it is recent, and unexpected once a seal should contain it", async () => {
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

test("an unsealed object is compared with its key, however recent it is", async () => {
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

test("foreign objects in the archive's folders are unexpected, and elsewhere notices", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  for (const key of ["notes.txt", "logs/x", "other/x", "probe/x", "probe/2026-05-01", "probe/2026-05-01-wrong-md5"])
    await put(sealed.store, key, Buffer.from("x"));
  await writeFile(pathOf(sealed, ".DS_Store"), "x");
  const { tampering, notices } = await verify(sealed);
  expect({ tampering, notices }).toEqual({
    tampering: ["unexpected logs/x", "unexpected notes.txt", "unexpected probe/x"],
    notices: ["foreign .DS_Store", "foreign other/x"],
  });
});

test("only objects in seals of a span are checked, and no others are reported missing", async () => {
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

test("a sample reads the given share of the logs", async () => {
  await using sealed = await openFolder();
  for (let job = 10; job < 30; job += 1) await sealed.addJob(job, `log ${job}\n`);
  await sealed.seal(signer);
  let asked = 0;
  expect(await verify(sealed, { isDeep: () => (asked += 1) % 4 === 0 })).toMatchObject({
    tampering: [],
    totals: { logs: 20, logsRead: 5 },
  });
});
