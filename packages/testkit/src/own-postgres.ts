// A Postgres for one test, behind a proxy. It may be killed, locked and disconnected, and keeps every commit.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { createLogger } from "@actions-archive/core/logger";
import { openEmbeddedPostgres } from "@actions-archive/embedded/embedded-postgres";
import { dataFolderIn } from "@actions-archive/embedded/postgres-cluster";
import { Client, types } from "pg";

import { openTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

export type OwnPostgres = AsyncDisposable & {
  /** Through the proxy. */
  readonly url: string;
  /** Past the proxy, for observers. */
  readonly directUrl: string;
  readonly proxy: TcpProxy;
  /**
   * Stops the server immediately, like `pg_ctl stop -m immediate`. It restarts by itself, and recovers every commit.
   * https://www.postgresql.org/docs/18/server-shutdown.html
   */
  readonly stopImmediate: () => Promise<void>;
  /** Terminates every session except those of observers. @returns their number. */
  readonly terminateSessions: () => Promise<number>;
  /** Queries as the superuser, past the proxy; waits for a recovery to end. int8 is parsed as number. */
  readonly ask: (query: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;
  /** Queries another database of the server. */
  readonly askAt: (url: string, query: string) => Promise<Record<string, unknown>[]>;
};

const watcherName = "watcher";
const int8Oid = 20;
/** Parses ids and counts as numbers: GitHub's are far below 2^53. */
export const typesWithNumbers = {
  getTypeParser: (oid: number) => (oid === int8Oid ? Number : types.getTypeParser(oid)),
};

export async function openOwnPostgres(folder: string): Promise<OwnPostgres> {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(
    await openEmbeddedPostgres({
      folder,
      // The kernel keeps the writes of a killed process, so nothing is lost without fsync.
      settings: { fsync: "off", full_page_writes: "off", max_connections: "200" },
      log: createLogger("tests", "silent"),
    }),
  );
  const proxy = resources.use(await openTcpProxy(server.port));
  const withClient = async <T>(use: (client: Client) => Promise<T>, url = server.url): Promise<T> => {
    const client = await connectWithRetries(url);
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  };
  const opened = resources.move();
  return {
    url: proxy.before(server.url),
    directUrl: server.url,
    proxy,
    async stopImmediate() {
      const [pid] = (await readFile(join(dataFolderIn(folder), "postmaster.pid"), "utf8")).split("\n");
      process.kill(Number(pid), "SIGQUIT");
    },
    terminateSessions: () =>
      withClient(async (client) => {
        const { rowCount } = await client.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and application_name <> $1`,
          [watcherName],
        );
        return rowCount ?? 0;
      }),
    ask: (query, values) => withClient(async (client) => (await client.query<Record<string, unknown>>(query, values ?? [])).rows),
    askAt: (url, query) => withClient(async (client) => (await client.query<Record<string, unknown>>(query)).rows, url),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Connects as the superuser. Retries for half a minute during a recovery. */
async function connectWithRetries(url: string): Promise<Client> {
  for (const deadline = Date.now() + 30_000; ;) {
    const client = new Client({ connectionString: url, types: typesWithNumbers, application_name: watcherName });
    // The server may be killed while connected.
    client.on("error", () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
