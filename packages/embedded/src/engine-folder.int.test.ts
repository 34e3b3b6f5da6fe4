// The engines' promises, each on real processes: one owner, the same data and port again, nothing left running, nothing half-made.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { ConfigError } from "@actions-archive/core/errors";
import { createLogger } from "@actions-archive/core/logger";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { attachOrOpenEngines, type EngineOptions, type Engines, openEngines } from "./engine-folder.ts";

const all = { database: true, queue: true, archive: true };

test("a first start gives a database, a queue and an archive, for this account alone", async () => {
  await using folder = await temporaryFolder();
  await using engines = await openEngines(optionsFor(folder.dir));

  expect(engines).toMatchObject({ owner: true, archiveUrl: `file://${folder.dir}/archive`, queueUrl: engines.databaseUrl });
  expect(await query(engines, "select current_database() as name, current_setting('fsync') as fsync")).toEqual([
    { name: "actions_archive", fsync: "on" },
  ]);
  expect((await stat(join(folder.dir, "engines.json"))).mode & 0o077).toBe(0);
  expect((await stat(join(folder.dir, "archive"))).mode & 0o077).toBe(0);
  const withoutPassword = new URL(engines.databaseUrl ?? "");
  withoutPassword.password = "wrong";
  await expect(connectOnce(withoutPassword.href)).rejects.toThrow("password authentication failed");
});

test("a second start finds the data and the port of the first", async () => {
  await using folder = await copyOfMadeFolder();
  const urls: (string | undefined)[] = [];
  {
    await using engines = await openEngines(optionsFor(folder.dir));
    urls.push(engines.databaseUrl);
    await query(engines, "create table kept as select 42 as answer");
  }
  await using engines = await openEngines(optionsFor(folder.dir));

  expect(engines.databaseUrl).toBe(urls[0]);
  expect(await query(engines, "select answer from kept")).toEqual([{ answer: 42 }]);
});

test("a port that another process has taken is not used", async () => {
  await using folder = await copyOfMadeFolder();
  const { port } = await readState(folder.dir);
  const squatter = createServer().listen(port, "127.0.0.1");
  await once(squatter, "listening");
  try {
    await using engines = await openEngines(optionsFor(folder.dir));

    expect(new URL(engines.databaseUrl ?? "").port).not.toBe(String(port));
    expect(await query(engines, "select 1 as one")).toEqual([{ one: 1 }]);
  } finally {
    squatter.close();
  }
});

test("an engine that is configured elsewhere is not started", async () => {
  await using folder = await temporaryFolder();
  await using engines = await openEngines({ ...optionsFor(folder.dir), need: { database: false, queue: false, archive: true } });

  expect(engines).toMatchObject({ databaseUrl: undefined, queueUrl: undefined, owner: true });
  expect(await readdir(folder.dir)).not.toContain("postgres");
  await expect(attachOrOpenEngines(optionsFor(folder.dir))).rejects.toThrow(/its own DATABASE_URL and QUEUE_URL/);
});

test("when everything is configured, no folder is made", async () => {
  await using folder = await temporaryFolder();
  const dir = join(folder.dir, "none");
  await using _ = await openEngines({ ...optionsFor(dir), need: { database: false, queue: false, archive: false } });

  await expect(stat(dir)).rejects.toThrow("ENOENT");
});

test("a second owner is refused with the first one's process id and the cure", async () => {
  await using folder = await temporaryFolder();
  await using _ = await openEngines({ ...optionsFor(folder.dir), need: { ...all, database: false, queue: false } });

  await expect(openEngines(optionsFor(folder.dir))).rejects.toThrow(ConfigError);
  await expect(openEngines(optionsFor(folder.dir))).rejects.toThrow(`process ${process.pid}): stop it first`);
});

test("exactly one of several concurrent starts becomes the owner", async () => {
  await using folder = await temporaryFolder();
  const options = { ...optionsFor(folder.dir), need: { ...all, database: false, queue: false } };
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => openEngines(options)));
  const owners = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  for (const owner of owners) await owner[Symbol.asyncDispose]();

  expect(owners).toHaveLength(1);
});

test("a command attaches to an owner in another process, and leaves its engines running", async () => {
  await using folder = await copyOfMadeFolder();
  await using owner = startOwner(folder.dir);
  // It waits until the owner, which is only starting, is ready.
  await vi.waitFor(async () => expect((await readState(folder.dir)).pid).toBe(owner.process.pid), {
    timeout: 10_000,
    interval: 5,
  });
  {
    await using engines = await attachOrOpenEngines(optionsFor(folder.dir));
    expect(engines.owner).toBe(false);
    await query(engines, "create table from_outside ()");
  }
  await using again = await attachOrOpenEngines(optionsFor(folder.dir));

  expect(await query(again, "select to_regclass('from_outside') as name")).toEqual([{ name: "from_outside" }]);
  expect((await readState(folder.dir)).pid).toBe(owner.process.pid);
});

test("without an owner, a command starts the engines and stops them", async () => {
  await using folder = await copyOfMadeFolder();
  const engines = await attachOrOpenEngines(optionsFor(folder.dir));
  expect(engines.owner).toBe(true);
  expect(await query(engines, "select 1 as one")).toEqual([{ one: 1 }]);
  await engines[Symbol.asyncDispose]();

  await expect(connectOnce(engines.databaseUrl ?? "")).rejects.toThrow("ECONNREFUSED");
});

test("after kill -9 of the owner, the next start ends the orphaned Postgres and finds every commit", async () => {
  await using folder = await copyOfMadeFolder();
  await using owner = startOwner(folder.dir);
  const { databaseUrl } = await owner.ready;
  await connectOnce(databaseUrl, "create table kept as select 42 as answer");
  owner.process.kill("SIGKILL");
  await once(owner.process, "exit");
  // The orphan still serves.
  await connectOnce(databaseUrl);

  await using engines = await openEngines(optionsFor(folder.dir));

  expect(await query(engines, "select answer from kept")).toEqual([{ answer: 42 }]);
  const log = await readFile(join(folder.dir, "postgres/postgres.log"), "utf8");
  expect(log).toContain("received fast shutdown request");
  expect(log).not.toContain("was not properly shut down");
});

test("a killed Postgres is restarted on the same port with every commit", async () => {
  await using folder = await copyOfMadeFolder();
  await using engines = await openEngines(optionsFor(folder.dir));
  await query(engines, "create table kept as select 42 as answer");
  const killed = await postmasterPid(folder.dir);
  process.kill(killed, "SIGKILL");

  await vi.waitFor(async () => expect(await query(engines, "select answer from kept")).toEqual([{ answer: 42 }]), {
    timeout: 20_000,
    interval: 100,
  });
  expect(await postmasterPid(folder.dir)).not.toBe(killed);
});

test("after kill -9 of owner and Postgres together, the next start recovers", async () => {
  await using folder = await copyOfMadeFolder();
  await using owner = startOwner(folder.dir);
  const { databaseUrl } = await owner.ready;
  await connectOnce(databaseUrl, "create table kept as select 42 as answer");
  const exited = once(owner.process, "exit");
  owner.process.kill("SIGKILL");
  process.kill(await postmasterPid(folder.dir), "SIGKILL");
  await exited;

  await using engines = await openEngines(optionsFor(folder.dir));

  expect(await query(engines, "select answer from kept")).toEqual([{ answer: 42 }]);
});

test("a first start that was killed in the middle of initdb leaves nothing that the second stumbles over", async () => {
  await using folder = await temporaryFolder();
  await using owner = startOwner(folder.dir);
  await vi.waitFor(
    async () => expect(await readdir(join(folder.dir, "postgres"))).toEqual([expect.stringMatching(/^unfinished-/)]),
    {
      timeout: 10_000,
      interval: 5,
    },
  );
  owner.process.kill("SIGKILL");
  await once(owner.process, "exit");

  await using engines = await openEngines(optionsFor(folder.dir));

  expect(await query(engines, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a postmaster.pid whose number now belongs to another program does not stop the start", async () => {
  await using folder = await copyOfMadeFolder();
  // As after a reboot without a shutdown: the number is taken, by a process that is no Postgres.
  const stranger = spawn(process.execPath, ["--eval", "setInterval(() => {}, 1e6)"], {
    ...(await accountOf(folder.dir)),
    stdio: "ignore",
    cwd: "/",
  });
  await once(stranger, "spawn");
  try {
    await writeFile(postmasterFile(folder.dir), `${stranger.pid}\n/elsewhere\n`, { mode: 0o600 });
    await using engines = await openEngines(optionsFor(folder.dir));

    expect(await query(engines, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  } finally {
    stranger.kill();
  }
});

test("data of another version of Postgres is refused with the remedy", async () => {
  await using folder = await copyOfMadeFolder();
  await writeFile(join(folder.dir, "postgres/cluster/data/PG_VERSION"), "9\n");

  await expect(openEngines(optionsFor(folder.dir))).rejects.toThrow(
    /belongs to PostgreSQL 9, but the embedded version is 18: .*rebuild/,
  );
});

test("a Postgres that cannot start reports the cause and its log file", async () => {
  await using folder = await copyOfMadeFolder();
  await writeFile(join(folder.dir, "postgres/cluster/data/postgresql.conf"), "no_such_setting = 1\n");

  await expect(openEngines(optionsFor(folder.dir))).rejects.toThrow(/postgres\.log:\n[^]*no_such_setting/);
  // The lock is free again: a refused start owns nothing.
  await using _ = await openEngines({ ...optionsFor(folder.dir), need: { ...all, database: false, queue: false } });
});

test.runIf(process.getuid?.() === 0)(
  "as root under a closed home, the database moves to where its account can reach it",
  async () => {
    await using folder = await temporaryFolder();
    await chmod(folder.dir, 0o700);
    const dir = join(folder.dir, "home/.actions-archive");
    let outside: string | undefined;
    try {
      {
        await using engines = await openEngines(optionsFor(dir));
        await query(engines, "create table kept as select 42 as answer");
        ({ postgresFolder: outside } = await readState(dir));
        expect(outside).toMatch(/^\/var\/lib\/actions-archive\//);
      }
      await using engines = await openEngines(optionsFor(dir));
      expect(await query(engines, "select answer from kept")).toEqual([{ answer: 42 }]);
    } finally {
      if (outside) await rm(outside, { recursive: true });
    }
  },
);

function optionsFor(dir: string): EngineOptions {
  return { dir, need: all, log: createLogger("test", "silent") };
}

async function temporaryFolder(): Promise<AsyncDisposable & { dir: string }> {
  const parent = await mkdtemp(join(tmpdir(), "actions-archive-engines-"));
  await chmod(parent, 0o711);
  const dir = join(parent, ".actions-archive");
  await mkdir(dir, { mode: 0o711 });
  return { dir, [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true, maxRetries: 5 }) };
}

// initdb takes most of a first start's second: the tests that are not about it share one.
let made: (AsyncDisposable & { dir: string }) | undefined;

beforeAll(async () => {
  made = await temporaryFolder();
  await using _ = await openEngines(optionsFor(made.dir));
});

afterAll(() => made?.[Symbol.asyncDispose]());

async function copyOfMadeFolder(): Promise<AsyncDisposable & { dir: string }> {
  const folder = await temporaryFolder();
  await promisify(execFile)("cp", ["-a", `${made?.dir}/.`, folder.dir]);
  return folder;
}

type Owner = AsyncDisposable & { readonly process: ChildProcess; readonly ready: Promise<{ databaseUrl: string }> };

/** Another process that owns the engines until its stdin closes. */
function startOwner(dir: string): Owner {
  const program = `
    import { openEngines } from ${JSON.stringify(new URL("./engine-folder.ts", import.meta.url).href)};
    import { createLogger } from "@actions-archive/core/logger";
    await using engines = await openEngines({ dir: ${JSON.stringify(dir)}, need: ${JSON.stringify(all)}, log: createLogger("owner", "silent") });
    console.log(JSON.stringify({ databaseUrl: engines.databaseUrl }));
    for await (const _ of process.stdin);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
    cwd: import.meta.dirname,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line) as { databaseUrl: string };
    throw new Error("the owner ended before it was ready");
  })();
  ready.catch(() => undefined);
  return {
    process: child,
    ready,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.stdin.end();
      await once(child, "exit");
    },
  };
}

async function query(engines: Engines, text: string): Promise<unknown[]> {
  return connectOnce(engines.databaseUrl ?? "", text);
}

async function connectOnce(url: string, text = "select"): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

function postmasterFile(dir: string): string {
  return join(dir, "postgres/cluster/data/postmaster.pid");
}

async function postmasterPid(dir: string): Promise<number> {
  return Number((await readFile(postmasterFile(dir), "utf8")).split("\n")[0]);
}

async function accountOf(dir: string): Promise<{ uid: number; gid: number }> {
  const { uid, gid } = await stat(join(dir, "postgres/cluster/data"));
  return { uid, gid };
}

async function readState(dir: string): Promise<{ port?: number; pid?: number; postgresFolder?: string }> {
  return JSON.parse(await readFile(join(dir, "engines.json"), "utf8")) as {
    port?: number;
    pid?: number;
    postgresFolder?: string;
  };
}
