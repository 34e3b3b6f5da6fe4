// The embedded engines in one folder: Postgres for data and queue, a folder for the archive. One process at a time owns and runs them;
// other commands attach to them, or own them while they run.

import { mkdir, open, readFile, realpath, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { ConfigError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import { Client } from "pg";
import { z } from "zod";

import { openEmbeddedPostgres } from "./embedded-postgres.ts";
import { tryLockOwner } from "./owner-lock.ts";
import { choosePostgresFolder } from "./postgres-cluster.ts";
import { ensureSealKey, sealKeyFile } from "./seal-key-file.ts";

export type Engines = AsyncDisposable & {
  /** One Postgres has the database and, in its schema `queue`, the queue. Undefined if not needed. Contains a password. */
  readonly databaseUrl: string | undefined;
  readonly queueUrl: string | undefined;
  /** `file:///…/archive`. Undefined if not needed. */
  readonly archiveUrl: string | undefined;
  /** Path of the private key that seals an embedded archive. Undefined if the archive is not embedded. */
  readonly sealKeyFile: string | undefined;
  /** Whether disposing this stops the engines. */
  readonly owner: boolean;
};

export type EngineOptions = {
  /** `.actions-archive`, or `.actions-archive/demo`. Created if missing. */
  readonly dir: string;
  readonly log: Logger;
  /** The engines that no setting names. */
  readonly need: { readonly database: boolean; readonly queue: boolean; readonly archive: boolean };
};

/** `engines.json`: the state kept between runs, and what other commands need to attach. Mode 0600, since it contains the password. */
const EngineState = z.object({
  pid: z.int().optional().describe("the owner, if there is one"),
  ready: z.boolean().describe("whether the owner's engines run"),
  port: z.int().optional().describe("Postgres's port, kept between runs"),
  postgresFolder: z.string().optional().describe("outside of the engines' folder if root's Postgres account cannot access that"),
  postgresUrl: z.string().optional(),
  archiveUrl: z.string().optional(),
});
type EngineState = z.output<typeof EngineState>;

const attachTimeoutMs = 90_000;
const pollMs = 100;

/**
 * Starts the needed engines as their only owner; disposing stops them. A later run finds the data of the first, and first stops what a
 * killed owner left running. Does nothing and creates no folder if no engine is needed.
 * @throws ConfigError when another process owns the folder, with its pid, or when an engine cannot start.
 */
export async function openEngines(options: EngineOptions): Promise<Engines> {
  if (!needsAny(options)) return noEngines;
  const lock = await tryOwn(options.dir);
  if (lock) return startEngines(options, lock);
  const owner = (await readState(options.dir))?.pid;
  throw new ConfigError(
    `Actions Archive already runs in ${options.dir}${owner ? ` (process ${owner})` : ""}: stop it first${owner ? ` (kill ${owner})` : ""}, or run this one in another folder. Commands such as status, logs and sql work while it runs`,
  );
}

/**
 * Attaches to the engines of the running owner or, if there is none, starts them until the caller disposes them. Waits up to 90 s for an
 * owner that is still starting.
 * @throws ConfigError when the owner does not run a needed engine, or does not become ready.
 */
export async function attachOrOpenEngines(options: EngineOptions): Promise<Engines> {
  if (!needsAny(options)) return noEngines;
  for (const deadline = Date.now() + attachTimeoutMs; Date.now() < deadline; await sleep(pollMs)) {
    const lock = await tryOwn(options.dir);
    if (lock) return startEngines(options, lock);
    const state = await readState(options.dir);
    // The state of a killed owner may say ready while the next one starts, so Postgres must answer.
    if (!state?.ready || (state.postgresUrl && !(await answers(state.postgresUrl)))) continue;
    return { ...enginesOf(options, state), owner: false, [Symbol.asyncDispose]: async () => {} };
  }
  throw new ConfigError(
    `Another process owns ${options.dir}, and its engines did not start within ${attachTimeoutMs / 1000} s: check its output, or stop it`,
  );
}

const noEngines: Engines = {
  databaseUrl: undefined,
  queueUrl: undefined,
  archiveUrl: undefined,
  sealKeyFile: undefined,
  owner: false,
  [Symbol.asyncDispose]: async () => {},
};

function needsAny({ need }: EngineOptions): boolean {
  return need.database || need.queue || need.archive;
}

async function tryOwn(dir: string): Promise<Disposable | undefined> {
  try {
    // Other accounts may traverse the folder but not list it: root's Postgres account must reach its data.
    await mkdir(dir, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw new ConfigError(
      `Cannot create the folder ${dir}: run in a folder that you may write to, or set DATABASE_URL, QUEUE_URL and ARCHIVE_URL`,
      { cause: error },
    );
  }
  return tryLockOwner(join(dir, "owner.lock"));
}

async function startEngines(options: EngineOptions, lock: Disposable): Promise<Engines> {
  await using opened = new AsyncDisposableStack();
  opened.use(lock);
  const dir = await realpath(options.dir);
  const { need, log } = options;
  const before = await readState(dir);
  let state: EngineState = { pid: process.pid, ready: false, port: before?.port, postgresFolder: before?.postgresFolder };
  opened.defer(() => writeState(dir, { port: state.port, postgresFolder: state.postgresFolder, ready: false }));
  await writeState(dir, state);
  if (need.database || need.queue) {
    const inside = join(dir, "postgres");
    const folder = state.postgresFolder ?? (await choosePostgresFolder(inside));
    if (folder !== inside) await writeState(dir, (state = { ...state, postgresFolder: folder }));
    const postgres = opened.use(await openEmbeddedPostgres({ folder, preferredPort: state.port, log }));
    state = { ...state, port: postgres.port, postgresUrl: postgres.url };
  }
  if (need.archive) {
    const archive = join(dir, "archive");
    await mkdir(archive, { recursive: true, mode: 0o700 });
    await ensureSealKey(dir);
    state = { ...state, archiveUrl: pathToFileURL(archive).href };
  }
  state = { ...state, ready: true };
  await writeState(dir, state);
  const running = opened.move();
  return { ...enginesOf(options, state), owner: true, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

function enginesOf(
  { need, dir }: EngineOptions,
  { pid, postgresUrl, archiveUrl }: EngineState,
): Omit<Engines, "owner" | typeof Symbol.asyncDispose> {
  const missing = [
    need.database && !postgresUrl && "DATABASE_URL",
    need.queue && !postgresUrl && "QUEUE_URL",
    need.archive && !archiveUrl && "ARCHIVE_URL",
  ].filter((name) => name !== false);
  if (missing.length > 0) {
    throw new ConfigError(`The process that owns ${dir} (${pid}) runs with its own ${missing.join(" and ")}: set the same here`);
  }
  return {
    databaseUrl: need.database ? postgresUrl : undefined,
    queueUrl: need.queue ? postgresUrl : undefined,
    archiveUrl: need.archive ? archiveUrl : undefined,
    sealKeyFile: need.archive ? join(dir, sealKeyFile) : undefined,
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}

/** @returns undefined if there is no state yet, or it cannot be parsed. */
async function readState(dir: string): Promise<EngineState | undefined> {
  try {
    return EngineState.parse(JSON.parse(await readFile(join(dir, "engines.json"), "utf8")));
  } catch (error) {
    if (Error.isError(error) && "code" in error && error.code === "EACCES") {
      throw new ConfigError(`Cannot read the engines of ${dir}: use the account that runs them`, { cause: error });
    }
    return undefined;
  }
}

async function writeState(dir: string, state: EngineState): Promise<void> {
  const path = join(dir, "engines.json");
  const next = `${path}.next`;
  {
    await using file = await open(next, "w", 0o600);
    // A run as root must not lock out the owner of the folder.
    const { uid, gid } = await stat(dir);
    if (process.getuid?.() === 0) await file.chown(uid, gid);
    await file.writeFile(`${JSON.stringify(state, null, 2)}\n`);
    await file.sync();
  }
  await rename(next, path);
}
