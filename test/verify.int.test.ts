// Tampering of any kind with a sealed archive is found, and the object concerned is named.

import { randomInt } from "node:crypto";
import { env } from "node:process";

import { mark } from "@actions-archive/archive/seal/sealed-index";
import { Findings } from "@actions-archive/archive/verify/findings";
import { verifyArchive, type VerifyOptions, type VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import { verifyDatabase } from "@actions-archive/cli/verify/verify-database";
import { tryParseKey } from "@actions-archive/core/object-key";
import type { Database } from "@actions-archive/database/connection/open-database";
import { queryIn } from "@actions-archive/database/test-support/raw-sql";
import { expect, test } from "vitest";

import { type Ask, rowActs } from "./support/row-tampering.ts";
import { openSealedArchive, type SealedArchive } from "./support/sealed-archive.ts";
import { acts } from "./support/store-tampering.ts";
import type { ObjectKeys } from "./support/tamper.ts";
import { Dice, Tamperer } from "./support/tamper.ts";

/** Rounds for each kind. */
const rounds = 12;

function verify(archive: SealedArchive, options: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
  return verifyArchive(archive.store, { keys: [archive.publicKey], isDeep: () => true, sealIntervalSeconds: 3600, ...options });
}

async function keysOf({ store, removed, damaged }: SealedArchive): Promise<ObjectKeys> {
  const keys: Record<"log" | "record" | "run" | "seal" | "identity", string[]> = {
    log: [],
    record: [],
    run: [],
    seal: [],
    identity: [],
  };
  // Objects that a seal records as damaged are left out: further damage is not detectable.
  for await (const { key } of store.list("")) {
    const parsed = tryParseKey(key);
    if (parsed && !removed.includes(key) && key !== damaged) keys[parsed.kind].push(key);
  }
  return { logs: keys.log, records: keys.record, runs: keys.run, seals: keys.seal };
}

test(
  "every mutation of the store is found and named, and an untouched archive gives no finding",
  { timeout: 900_000 },
  async () => {
    await using archive = await openSealedArchive();
    const seed = randomInt(2 ** 31);
    const dice = new Dice(seed);
    const keys = await keysOf(archive);
    const { chain, findings } = await verify(archive);
    expect(findings.tampering).toEqual([]);
    const { sequence, sha256 } = chain.head ?? { sequence: 0, sha256: "" };
    const table: { kind: string; done: number; found: number }[] = [];
    const missed: unknown[] = [];
    for (const { kind, tamper, needsHead = false } of acts) {
      let found = 0;
      for (let round = 0; round < rounds; round += 1) {
        await using tamperer = new Tamperer(archive.folder);
        const touched = await tamper(tamperer, dice, keys);
        const result = await verify(archive, needsHead ? { expectedHead: { sequence, sha256 } } : {});
        const named = new Set(result.findings.tampering.map(({ key }) => key));
        if (touched.length > 0 && touched.every((key) => named.has(key))) found += 1;
        else missed.push({ kind, touched, findings: result.findings });
      }
      table.push({ kind, done: rounds, found });
      // Every change is undone, so that the next kind starts from an intact archive.
      expect((await verify(archive)).findings.tampering).toEqual([]);
    }
    const done = table.reduce((sum, row) => sum + row.done, 0);
    process.stdout.write(
      `seed ${seed}: ${done} mutations of the store\n${table.map((row) => `${row.found}/${row.done} ${row.kind}`).join("\n")}\n`,
    );
    expect(missed, `seed ${seed}`).toEqual([]);
    expect(done).toBeGreaterThan(500);
  },
);

/** Changes per verification. Each must be named. */
const actsAtOnce = 12;
/** ROW_TAMPERINGS sets the number, ROW_SEED repeats a run. */
const tamperings = Number(env["ROW_TAMPERINGS"] ?? rowActs.length * 2);

test(
  "every edited, deleted or added row is found and named, and untouched rows give no finding",
  { timeout: 1_800_000 },
  async () => {
    await using archive = await openSealedArchive();
    const seed = Number(env["ROW_SEED"] ?? randomInt(2 ** 31));
    const dice = new Dice(seed);
    const result = await verify(archive, { isDeep: () => false });
    await compare(archive.db, archive, result);
    expect(result.findings.tampering).toEqual([]);
    const counts = new Map(rowActs.map(({ kind }) => [kind, { done: 0, found: 0 }]));
    const missed: unknown[] = [];
    for (let [round, done] = [0, 0]; done < tamperings; round += 1) {
      const { touched, named } = await tamperOnce(archive, result, dice, round * 5);
      for (const { kind, names } of touched) {
        const count = counts.get(kind) ?? { done: 0, found: 0 };
        const lost = names.filter((name) => !named.has(name));
        counts.set(kind, { done: count.done + 1, found: count.found + (lost.length === 0 ? 1 : 0) });
        if (lost.length > 0) missed.push({ kind, lost, named: [...named] });
      }
      done += touched.length;
    }
    const table = [...counts].map(([kind, { done, found }]) => `${found}/${done} ${kind}`);
    process.stdout.write(`seed ${seed}: ${tamperings} mutations of rows\n${table.join("\n")}\n`);
    expect(missed, `seed ${seed}`).toEqual([]);
    expect([...counts.values()].every(({ done }) => done > 0)).toBe(true);
  },
);

const undone = new Error("rolled back");

async function tamperOnce(archive: SealedArchive, result: VerifyResult, dice: Dice, from: number) {
  const findings = new Findings();
  const touched: { readonly kind: string; readonly names: readonly string[] }[] = [];
  await archive.db
    .transaction()
    .execute(async (trx) => {
      const ask: Ask = (query) => queryIn(trx, query);
      const [taken, tables] = [new Set<string>(), new Set<string>()];
      for (let index = 0; index < actsAtOnce; index += 1) {
        const { kind, tamper } = rowActs[(from + index * 7) % rowActs.length] ?? dice.one(rowActs);
        const [, table = ""] = kind.split(" · ");
        if (tables.has(table)) continue;
        tables.add(table);
        await ask("savepoint tampering");
        const names = await tamper(ask, dice);
        // Two changes of the same row are one finding, so such a change is skipped.
        if (names.length === 0 || names.some((name) => taken.has(name))) await ask("rollback to savepoint tampering");
        else touched.push({ kind, names });
        for (const name of names) taken.add(name);
      }
      await compare(trx, archive, { ...result, findings });
      throw undone;
    })
    .catch((error: unknown) => {
      if (error !== undone) throw error;
    });
  return { touched, named: new Set(findings.tampering.map(({ key }) => key)) };
}

async function compare(db: Database, { store }: SealedArchive, result: VerifyResult): Promise<void> {
  const { index } = result;
  for (let row = 0; row < index.size; row += 1) index.set(row, mark.hasRow, false);
  await verifyDatabase({ db, store, result, sealIntervalSeconds: 3600 });
}
