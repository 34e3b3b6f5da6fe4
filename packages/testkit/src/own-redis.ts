// A Redis for one test, which may kill, freeze, fill and empty it.

import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

import getPort from "get-port";
import { Redis } from "ioredis";

import { launchRedis } from "./test-redis.ts";

export type OwnRedis = AsyncDisposable & {
  readonly url: string;
  readonly isUp: () => boolean;
  /** Sends SIGKILL and waits for the exit. */
  readonly kill: () => Promise<void>;
  /** Starts on the same port, with its data unless `isEmpty`. Does nothing while it runs. */
  readonly start: (options?: { readonly isEmpty?: boolean }) => Promise<void>;
  readonly signal: (signal: "SIGSTOP" | "SIGCONT") => void;
  /** Runs one command on a separate connection. */
  readonly ask: (command: string, ...args: string[]) => Promise<unknown>;
  /** @returns every key with its value, as text. */
  readonly dump: () => Promise<string[]>;
};

/** Starts redis-server in `folder` with an append-only file that is synced every second, like in production. */
export async function openOwnRedis(folder: string): Promise<OwnRedis> {
  await mkdir(folder, { recursive: true });
  const port = await getPort({ host: "127.0.0.1" });
  const settings = { appendonly: "yes", appendfsync: "everysec" };
  const launch = () => launchRedis({ port, folder, settings });
  let child = await launch();
  const isUp = () => child.exitCode === null && child.signalCode === null;
  const url = `redis://127.0.0.1:${port}`;
  const withClient = async <T>(use: (client: Redis) => Promise<T>): Promise<T> => {
    const client = new Redis(url, { maxRetriesPerRequest: 3 });
    client.on("error", () => {});
    try {
      return await use(client);
    } finally {
      client.disconnect();
    }
  };
  const kill = async () => {
    if (!isUp()) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  return {
    url,
    isUp,
    kill,
    async start({ isEmpty = false } = {}) {
      if (isUp()) return;
      if (isEmpty) await rm(join(folder, "appendonlydir"), { recursive: true, force: true });
      child = await launch();
    },
    signal: (signal) => void child.kill(signal),
    ask: (command, ...args) => withClient((client) => client.call(command, ...args)),
    dump: () => withClient(dump),
    async [Symbol.asyncDispose]() {
      child.kill("SIGCONT");
      await kill();
    },
  };
}

async function dump(client: Redis): Promise<string[]> {
  const texts: string[] = [];
  for await (const keys of client.scanStream({ count: 1_000 }) as AsyncIterable<string[]>) {
    for (const key of keys) texts.push(key, ...(await textsOf(client, key)));
  }
  return texts;
}

async function textsOf(client: Redis, key: string): Promise<string[]> {
  const type = await client.type(key);
  if (type === "hash") return Object.entries(await client.hgetall(key)).flat();
  if (type === "list") return client.lrange(key, 0, -1);
  if (type === "set") return client.smembers(key);
  if (type === "zset") return client.zrangebyscore(key, "-inf", "+inf");
  if (type === "string") return [(await client.get(key)) ?? ""];
  if (type === "stream") return [JSON.stringify(await client.xrange(key, "-", "+"))];
  return [];
}
