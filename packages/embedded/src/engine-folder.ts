// The engines of a machine where nothing is configured, in one folder with one owner at a time: Postgres for data and queue, a
// folder for the archive. The owner runs them; every other command attaches to them, or owns them for as long as it takes.

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
  /** The database and, in its schema `queue`, the queue: one Postgres. Undefined where not needed. Holds a password. */
  readonly databaseUrl: string | undefined;
  readonly queueUrl: string | undefined;
  /** `file:///…/archive`. Undefined where not needed. */
  readonly archiveUrl: string | undefined;
  /** The private key that seals an embedded archive. Undefined where the archive is not embedded. */
  readonly sealKeyFile: string | undefined;
  /** Whether the engines end when this is disposed. */
  readonly owner: boolean;
};

export type EngineOptions = {
  /** `.actions-archive`, or `.actions-archive/demo`. Made when missing. */
  readonly dir: string;
  readonly log: Logger;
  /** What no setting names. */
  readonly need: { readonly database: boolean; readonly queue: boolean; readonly archive: boolean };
};

/** `engines.json`: what is kept between runs, and what others need to attach. Mode 0600, since it holds the password. */
const EngineState = z.object({
  pid: z.int().optional().describe("the owner, while there is one"),
  ready: z.boolean().describe("the owner's engines run"),
  port: z.int().optional().describe("Postgres' port, kept between runs"),
  postgresFolder: z.string().optional().describe("outside of the engines' folder when root's Postgres account cannot reach that"),
  postgresUrl: z.string().optional(),
  archiveUrl: z.string().optional(),
});
type EngineState = z.output<typeof EngineState>;

const attachTimeoutMs = 90_000;
const pollMs = 100;

/**
 * Starts the needed engines as their only owner; disposing stops them. Repeatable: a second run finds the data of the first,
 * and whatever a killed owner left running is stopped first. Needs nothing, does nothing: then no folder is made either.
 * @throws ConfigError when another process owns the folder, naming it, or when an engine cannot start.
 */
export async function openEngines(options: EngineOptions): Promise<Engines> {
  if (!needsAny(options)) return noEngines;
  const lock = await tryOwn(options.dir);
  if (lock) return startEngines(options, lock);
  const owner = (await readState(options.dir))?.pid;
  throw new ConfigError(
    `Actions Archive already runs in ${options.dir}${owner ? ` (process ${owner})` : ""}: stop it first${owner ? ` (kill ${owner})` : ""}, or run this one in another folder. Commands such as status, logs and sql work beside it`,
  );
}

/**
 * The engines of the running owner or, when there is none, started for the caller and stopped when it disposes them. Waits for
 * an owner that is still starting, up to 90 s.
 * @throws ConfigError when the owner does not run a needed engine, or none comes up.
 */
export async function attachOrOpenEngines(options: EngineOptions): Promise<Engines> {
  if (!needsAny(options)) return noEngines;
  for (const deadline = Date.now() + attachTimeoutMs; Date.now() < deadline; await sleep(pollMs)) {
    const lock = await tryOwn(options.dir);
    if (lock) return startEngines(options, lock);
    const state = await readState(options.dir);
    // What a killed owner left may say ready while the next one starts: only an answer counts.
    if (!state?.ready || (state.postgresUrl && !(await answers(state.postgresUrl)))) continue;
    return { ...enginesOf(options, state), owner: false, [Symbol.asyncDispose]: async () => {} };
  }
  throw new ConfigError(
    `Another process owns ${options.dir}, and its engines did not come up within ${attachTimeoutMs / 1000} s: look at its output, or stop it`,
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
    // Others may pass through, not look: root's Postgres account must reach its data.
    await mkdir(dir, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw new ConfigError(
      `Cannot make the folder ${dir}: run in a folder that you may write to, or set DATABASE_URL, QUEUE_URL and ARCHIVE_URL`,
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

/** @returns undefined when there is none yet, or none that can be read as ours. */
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
    // One run as root must not lock out the account whose folder this is.
    const { uid, gid } = await stat(dir);
    if (process.getuid?.() === 0) await file.chown(uid, gid);
    await file.writeFile(`${JSON.stringify(state, null, 2)}\n`);
    await file.sync();
  }
  await rename(next, path);
}
