// Compares one log with its record and its seal: by the store's metadata, and by the log's bytes.

import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { expect, test } from "vitest";

import { firstRecordOf, host, put, recordOf, refOf, type SealedStore } from "../../test-support/sealed-store.ts";
import { archivedLogOf, openFolder, overwrite, pathOf, signer, verify } from "../../test-support/verify-folder.ts";
import { putRecord } from "../record/records.ts";
import { canonicalBytes } from "../store/canonical-bytes.ts";

/** Only records, seals and the store's metadata of a log are read. */
const shallow = { isDeep: () => false };

async function metadataPathOf(sealed: SealedStore, key: string): Promise<string> {
  const folder = dirname(pathOf(sealed, key));
  const name = (await readdir(folder)).find((each) => each.startsWith(`.${basename(key)}.`) && each.endsWith(".meta"));
  return join(folder, name ?? "");
}

/** For an unsealed log the record is the only evidence. */
async function openUnsealed() {
  const sealed = await openFolder();
  await sealed.seal(signer);
  const log = await sealed.addJob(10, "one\n");
  const named = archivedLogOf(await readFile(pathOf(sealed, firstRecordOf(10))));
  return { sealed, log, named, metadata: { "raw-sha256": named.raw_sha256, "raw-bytes": String(named.raw_bytes) } };
}

test.each([{ "raw-sha256": "0".repeat(64) }, { "raw-bytes": "5" }])(
  "a log with other metadata than its record says is invalid, unread: %j",
  async (changes) => {
    const { sealed, log, metadata } = await openUnsealed();
    await using _ = sealed;
    expect(await verify(sealed, shallow)).toMatchObject({ tampering: [], totals: { logsRead: 0 } });
    const path = await metadataPathOf(sealed, log);
    await rm(path);
    await writeFile(path, JSON.stringify({ ...metadata, ...changes }));
    expect(await verify(sealed, shallow)).toMatchObject({ tampering: [`invalid ${log}`] });
  },
);

test("a log with another length or hash in the store than its record says is invalid, unread", async () => {
  const { sealed, log } = await openUnsealed();
  await using _ = sealed;
  const whole = await readFile(pathOf(sealed, log));
  await overwrite(sealed, log, whole.subarray(1));
  expect(await verify(sealed, shallow)).toMatchObject({ tampering: [`invalid ${log}`] });
  await overwrite(sealed, log, whole);
  expect(await verify(sealed, shallow)).toMatchObject({ tampering: [] });
  const path = await metadataPathOf(sealed, log);
  await rename(path, path.replace(/[0-9a-f]{64}/, "0".repeat(64)));
  expect(await verify(sealed, shallow)).toMatchObject({ tampering: [`invalid ${log}`] });
});

test("a log with other stored bytes than its record says is invalid, though its text is right and its metadata is lost", async () => {
  const { sealed, log, named } = await openUnsealed();
  await using _ = sealed;
  const record = { ...recordOf(10, { ...named, stored_sha256: "0".repeat(64) }), schema_version: 1, previous_sha256: null };
  await overwrite(sealed, firstRecordOf(10), canonicalBytes(record));
  await rm(await metadataPathOf(sealed, log));
  expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${log}`] });
});

test.each([{ stored_sha256: "0".repeat(64) }, { stored_bytes: 99 }])(
  "a later record that names a sealed log with other bytes is invalid: %j",
  async (changes) => {
    await using sealed = await openFolder();
    await sealed.addJob(10, "one\n");
    await sealed.seal(signer);
    const named = archivedLogOf(await readFile(pathOf(sealed, firstRecordOf(10))));
    const { key } = await putRecord(sealed.store, host, refOf(10), recordOf(10, { ...named, ...changes }));
    const { tampering } = await verify(sealed, shallow);
    expect(tampering).toContain(`invalid ${key}`);
  },
);

test("a sealed log that no record names is compared with its seal: by the store's hash, and by its bytes", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await rm(pathOf(sealed, firstRecordOf(10)));
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [], totals: { logsRead: 1 } });

  // Another complete log of the same length.
  await using other = await openFolder();
  const [whole, twin] = [await readFile(pathOf(sealed, log)), await readFile(pathOf(other, await other.addJob(10, "two\n")))];
  expect(twin).toHaveLength(whole.length);
  await overwrite(sealed, log, twin);
  expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${log}`] });
  await overwrite(sealed, log, whole);

  const path = await metadataPathOf(sealed, log);
  await rename(path, path.replace(/[0-9a-f]{64}/, "0".repeat(64)));
  expect(await verify(sealed, shallow)).toMatchObject({ tampering: [`invalid ${log}`] });
});

test.each([
  "logs/github.com/1/2/11.log.zst",
  "logs/github.com/1/3/10.log.zst",
  "logs/github.com/2/2/10.log.zst",
  "logs/ghe.example.com/1/2/10.log.zst",
])("a record that names the log of another job, run, repository or host is invalid: %s", async (key) => {
  const { sealed, log, named } = await openUnsealed();
  await using _ = sealed;
  const bytes = await readFile(pathOf(sealed, log));
  await put(sealed.store, key, bytes);
  const planted = { ...recordOf(10, { ...named, key }), schema_version: 1, previous_sha256: null };
  await overwrite(sealed, firstRecordOf(10), canonicalBytes(planted));
  const { tampering } = await verify(sealed, shallow);
  expect(tampering).toContain(`invalid ${firstRecordOf(10)}`);
});
