// Serves /livez, /readyz and /metrics on PORT. Live: the process makes progress; ready: its engines answer.

import { serve } from "@hono/node-server";
import { Hono } from "hono";

import type { EngineName, Metrics } from "./metrics.ts";

/** More than GitHub, probes and scrapers need together. The limit protects memory and file descriptors. */
const maxConnections = 1_000;
/**
 * Node.js waits a minute for headers and five for a body, and checks every 30 s. The webhook's route has a shorter limit for the body.
 * https://nodejs.org/api/http.html#serverrequesttimeout
 */
const serverTimeouts = { headersTimeout: 10_000, requestTimeout: 40_000, connectionsCheckingInterval: 5_000 };

/** Resolves while the engine answers; rejects when it does not. */
export type EngineChecks = Partial<Readonly<Record<EngineName, () => Promise<void>>>>;

const engineNames: Readonly<Record<EngineName, string>> = { database: "Postgres", queue: "the queue", store: "the store" };
const maxCheckMs = 5_000;
/** Probes and scrapers of several systems share one round of checks. */
const checkTtlMs = 2_000;

/**
 * The three routes of every worker; the fetcher adds its webhook route to the same app. Ready means that every engine answers. The
 * answer names the engine that does not, and no more: the port may be reachable from outside.
 */
export function createHealthApp(engines: EngineChecks, metrics: Metrics): Hono {
  const app = new Hono();
  const check = shareChecks(engines);
  metrics.addSource(async () => ({
    engine_up: [...(await check())].map(([engine, isUp]) => ({ labels: { engine }, value: isUp ? 1 : 0 })),
  }));
  app.get("/livez", (c) => c.json({ status: "ok" }));
  app.get("/readyz", async (c) => {
    const silent = [...(await check())].filter(([, isUp]) => !isUp).map(([engine]) => engineNames[engine]);
    if (silent.length === 0) return c.json({ status: "ok" });
    const verb = silent.length === 1 ? "does" : "do";
    return c.json({ status: "unavailable", reason: `${silent.join(" and ")} ${verb} not answer` }, 503);
  });
  app.get("/metrics", async (c) => c.text(await metrics.render(), 200, { "content-type": metrics.registry.contentType }));
  return app;
}

function shareChecks(engines: EngineChecks): () => Promise<ReadonlyMap<EngineName, boolean>> {
  let last: { readonly at: number; readonly result: Promise<ReadonlyMap<EngineName, boolean>> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at > checkTtlMs)
      last = { at: performance.now(), result: checkEngines(engines) };
    return last.result;
  };
}

async function checkEngines(engines: EngineChecks): Promise<ReadonlyMap<EngineName, boolean>> {
  // The keys of an object of this type are names of engines.
  const names = Object.keys(engines) as EngineName[];
  return new Map(await Promise.all(names.map(async (name) => [name, await answers(engines[name])] as const)));
}

async function answers(check: (() => Promise<void>) | undefined): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), maxCheckMs);
  const checked = Promise.resolve(check?.()).then(
    () => true,
    () => false,
  );
  const isUp = await Promise.race([checked, late]);
  clearTimeout(timer);
  return isUp;
}

/**
 * Serves `app` on `port` (0: any free port) until disposed, then closes open requests after two seconds. Slow connections and those beyond
 * the limit are closed at any time.
 */
export async function listen(app: Hono, port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const { promise: listening, resolve, reject } = Promise.withResolvers<number>();
  const server = serve({ fetch: app.fetch, port, serverOptions: serverTimeouts }, (address) => resolve(address.port));
  server.maxConnections = maxConnections;
  server.once("error", reject);
  const boundPort = await listening;
  return {
    port: boundPort,
    async [Symbol.asyncDispose]() {
      const { promise: closed, resolve: close } = Promise.withResolvers<void>();
      server.close(() => close());
      const cut = setTimeout(() => "closeAllConnections" in server && server.closeAllConnections(), 2_000);
      await closed;
      clearTimeout(cut);
    },
  };
}
