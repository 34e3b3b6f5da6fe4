// One act of a worker, cut short by kill -9 at every call that it makes to the outside. Each death has a database and a store of its own,
// copied from those of the same beginning: so that the end of each can be held against that of an act which nobody disturbed.

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Client } from "pg";
import { vi } from "vitest";

import type { CrashPoint } from "../crash-at.ts";
import { type Settings, startProgram } from "../processes.ts";
import type { InitialState, Evidence } from "./beginning.ts";
import { readEvidence } from "./evidence.ts";
import { openOperation } from "./operations.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const atOnce = 3;

/** `end` is that of the act which nobody disturbed, and so of each. */
export type Crashes = { readonly calls: number; readonly deaths: number; readonly end: Evidence };

type Copy = AsyncDisposable & { readonly settings: Settings };

/** Dies at every call of the act, before it and during it, and has each brought to its end, which must be that of an undisturbed act. */
export async function crashAtEveryCall(beginning: InitialState): Promise<Crashes> {
  const { settings } = beginning;
  await asAdministrator(settings, (client) => waitUntilAlone(client, nameOf(settings)));
  const undisturbed = await doUndisturbed(beginning);
  const left = everyDeath();
  const crashes = { calls: 0, deaths: 0, end: undisturbed };
  let isOver = false;
  const lane = async () => {
    for (const at of left) {
      if (isOver) return;
      // How many calls there are is a matter of time: what is asked for at once shares a statement.
      if (!(await dieOnce(beginning, at, undisturbed))) isOver = true;
      else {
        crashes.calls = Math.max(crashes.calls, at.call);
        crashes.deaths += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  assert.ok(crashes.calls > 0);
  return crashes;
}

function* everyDeath(): Generator<CrashPoint> {
  for (let call = 1; ; call += 1) {
    yield { call, moment: "before" };
    yield { call, moment: "during" };
  }
}

async function doUndisturbed(beginning: InitialState): Promise<Evidence> {
  await using copy = await copyOf(beginning, "undisturbed");
  await using program = start(beginning, copy);
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stdout + stderr);
  return readEvidence(copy.settings, beginning);
}

/** @returns false where the act had ended before. */
async function dieOnce(beginning: InitialState, at: CrashPoint, undisturbed: Evidence): Promise<boolean> {
  const { act, span, checkInvariants } = beginning;
  const told = `killed ${at.moment} call ${at.call}`;
  await using copy = await copyOf(beginning, `${at.call}-${at.moment}`);
  {
    await using program = start(beginning, copy, at);
    const { code, signal, stdout, stderr } = await program.ended;
    if (code === 0) return false;
    assert.equal(signal, "SIGKILL", `${told}: ${stdout}${stderr}`);
  }
  await endLeases(copy.settings);
  if (checkInvariants) checkInvariants(await readEvidence(copy.settings, beginning));
  {
    await using resources = new AsyncDisposableStack();
    const { perform } = await openOperation(act, { env: copy.settings, resources, span });
    await perform();
  }
  const end = await readEvidence(copy.settings, beginning);
  try {
    assert.deepEqual(end, undisturbed);
  } catch (cause) {
    throw new Error(`${told} and begun again, it ended otherwise`, { cause });
  }
  return true;
}

function start({ act, span, folder }: InitialState, { settings }: Copy, dieAt?: CrashPoint) {
  // A program starts in half the time when Node need not compile it again.
  const own = { ...settings, NODE_COMPILE_CACHE: join(folder, "compiled") };
  return startProgram(main, [JSON.stringify({ act, span, dieAt })], { cwd: folder, settings: own });
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
      await waitUntilAlone(client, copy);
      await client.query(`drop database ${client.escapeIdentifier(copy)}`);
    }),
  );
  url.pathname = `/${copy}`;
  const made = stack.move();
  return {
    // Those that begin again share a process, and a spool is one process'.
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

/** A server notices that a client is dead a moment later, and does its last statement until then. */
async function waitUntilAlone(client: Client, database: string): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rowCount } = await client.query("select from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()", [
        database,
      ]);
      if (rowCount !== 0) throw new Error(`somebody is connected to ${database}`);
    },
    { timeout: 60_000, interval: 20 },
  );
}

/** What the time does that passes once workers are dead. */
async function endLeases(settings: Settings): Promise<void> {
  const client = new Client({ connectionString: settings["DATABASE_URL"] });
  await client.connect();
  try {
    await waitUntilAlone(client, nameOf(settings));
    await client.query(`
      update archive.logs_in_flight set leased_until = null where leased_until is not null;
      update archive.repositories set leased_until = now() where leased_until is not null;
      update archive.backfill_repositories set leased_until = now() where leased_until is not null;
      delete from archive.credential_holders;`);
  } finally {
    await client.end();
  }
}
