// Kills an operation with SIGKILL at each of its external calls. Each crash has its own database and store, copied from the same initial
// state, so that the final state can be compared with that of an operation without a crash.

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Client } from "pg";
import { vi } from "vitest";

import type { CrashPoint } from "../crash-at.ts";
import { type Settings, startProgram } from "../processes.ts";
import { readEvidence } from "./evidence.ts";
import type { InitialState, Evidence } from "./initial-state.ts";
import { openOperation } from "./operations.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const atOnce = 3;

/** `end` is the final state without a crash, which the state after each crash must equal. */
export type Crashes = { readonly calls: number; readonly crashes: number; readonly end: Evidence };

type Copy = AsyncDisposable & { readonly settings: Settings };

/** Crashes before and during each call of the operation, completes it afterwards, and compares the final states. @throws when they differ. */
export async function crashAtEveryCall(initialState: InitialState): Promise<Crashes> {
  const { settings } = initialState;
  await asAdministrator(settings, (client) => waitUntilDisconnected(client, nameOf(settings)));
  const expected = await runWithoutCrash(initialState);
  const left = everyCrashPoint();
  const crashes = { calls: 0, crashes: 0, end: expected };
  let isOver = false;
  const worker = async () => {
    for (const at of left) {
      if (isOver) return;
      // The number of calls varies: concurrent statements may be combined.
      if (!(await crashOnce(initialState, at, expected))) isOver = true;
      else {
        crashes.calls = Math.max(crashes.calls, at.call);
        crashes.crashes += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  assert.ok(crashes.calls > 0);
  return crashes;
}

function* everyCrashPoint(): Generator<CrashPoint> {
  for (let call = 1; ; call += 1) {
    yield { call, moment: "before" };
    yield { call, moment: "during" };
  }
}

async function runWithoutCrash(initialState: InitialState): Promise<Evidence> {
  await using copy = await copyOf(initialState, "expected");
  await using program = start(initialState, copy);
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stdout + stderr);
  return readEvidence(copy.settings, initialState);
}

/** @returns false where the operation ended before it came to the call. */
async function crashOnce(initialState: InitialState, at: CrashPoint, expected: Evidence): Promise<boolean> {
  const { operation, span, check } = initialState;
  const crashPoint = `killed ${at.moment} call ${at.call}`;
  await using copy = await copyOf(initialState, `${at.call}-${at.moment}`);
  {
    await using program = start(initialState, copy, at);
    const { code, signal, stdout, stderr } = await program.ended;
    if (code === 0) return false;
    assert.equal(signal, "SIGKILL", `${crashPoint}: ${stdout}${stderr}`);
  }
  await endLeases(copy.settings);
  if (check) check(await readEvidence(copy.settings, initialState));
  {
    await using resources = new AsyncDisposableStack();
    const { perform } = await openOperation(operation, { env: copy.settings, resources, span });
    await perform();
  }
  const end = await readEvidence(copy.settings, initialState);
  try {
    assert.deepEqual(end, expected);
  } catch (cause) {
    throw new Error(`${crashPoint} and repeated, the operation ended in another state`, { cause });
  }
  return true;
}

function start({ operation, span, folder }: InitialState, { settings }: Copy, dieAt?: CrashPoint) {
  // A program starts in half the time with a compile cache.
  const own = { ...settings, NODE_COMPILE_CACHE: join(folder, "compiled") };
  return startProgram(main, [JSON.stringify({ operation, span, dieAt })], { cwd: folder, settings: own });
}

async function copyOf({ settings, folder, copyStore }: InitialState, name: string): Promise<Copy> {
  await using stack = new AsyncDisposableStack();
  const store = await copyStore(name);
  stack.defer(store.drop);
  const url = new URL(settings["DATABASE_URL"] ?? "");
  const template = nameOf(settings);
  const copy = `${template}_${name.replaceAll("-", "_")}`;
  await asAdministrator(settings, (client) =>
    client.query(`create database ${client.escapeIdentifier(copy)} template ${client.escapeIdentifier(template)}`),
  );
  stack.defer(() =>
    asAdministrator(settings, async (client) => {
      await waitUntilDisconnected(client, copy);
      await client.query(`drop database ${client.escapeIdentifier(copy)}`);
    }),
  );
  url.pathname = `/${copy}`;
  const made = stack.move();
  return {
    // Operations that are completed share a process, but each needs its own spool.
    settings: { ...settings, ...store.settings, DATABASE_URL: url.href, SPOOL_DIR: join(folder, `spool-${name}`) },
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}

function nameOf(settings: Settings): string {
  return new URL(settings["DATABASE_URL"] ?? "").pathname.slice(1);
}

async function asAdministrator(settings: Settings, work: (client: Client) => Promise<unknown>): Promise<void> {
  const url = new URL(settings["DATABASE_URL"] ?? "");
  url.pathname = "/postgres";
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Postgres detects a dead client with a delay, and finishes the client's last statement. */
async function waitUntilDisconnected(client: Client, database: string): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rowCount } = await client.query("select from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()", [
        database,
      ]);
      if (rowCount !== 0) throw new Error(`database ${database} still has connections`);
    },
    { timeout: 60_000, interval: 20 },
  );
}

/** Has the leases of dead workers expire. */
async function endLeases(settings: Settings): Promise<void> {
  const client = new Client({ connectionString: settings["DATABASE_URL"] });
  await client.connect();
  try {
    await waitUntilDisconnected(client, nameOf(settings));
    await client.query(`
      update archive.log_leases set leased_until = null where leased_until is not null;
      update archive.repositories set leased_until = now() where leased_until is not null;
      update archive.backfill_repositories set leased_until = now() where leased_until is not null;
      delete from archive.credential_holders;`);
  } finally {
    await client.end();
  }
}
