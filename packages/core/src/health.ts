// Serves /livez, /readyz and /metrics on PORT. Live: the process makes progress; ready: its engines answer.

import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { collectDefaultMetrics, Registry } from "prom-client";

import { errorMessage } from "./error-message.ts";

/** More than GitHub, probes and scrapers need together. The limit protects memory and file descriptors. */
const maxConnections = 1_000;
/**
 * Node.js waits a minute for headers and five for a body, and checks every 30 s. The webhook's route has a shorter limit for the body.
 * https://nodejs.org/api/http.html#serverrequesttimeout
 */
const serverTimeouts = { headersTimeout: 10_000, requestTimeout: 40_000, connectionsCheckingInterval: 5_000 };

export type HealthChecks = {
  /** Resolves while the process makes progress; rejects with the reason when it is stuck. */
  readonly live?: () => Promise<void>;
  /** Resolves when every engine answers; rejects with the reason. */
  readonly ready: () => Promise<void>;
};

/** The registry of the process's metrics, including those of Node.js. One per process. */
export function createMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** The three routes of every worker; the fetcher adds its webhook route to the same app. */
export function createHealthApp(checks: HealthChecks, metrics: Registry): Hono {
  const app = new Hono();
  const answer = async (check: (() => Promise<void>) | undefined) => {
    try {
      await check?.();
      return { status: 200 as const, body: { status: "ok" } };
    } catch (error) {
      return { status: 503 as const, body: { status: "unavailable", reason: errorMessage(error) } };
    }
  };
  app.get("/livez", async (c) => {
    const { status, body } = await answer(checks.live);
    return c.json(body, status);
  });
  app.get("/readyz", async (c) => {
    const { status, body } = await answer(checks.ready);
    return c.json(body, status);
  });
  app.get("/metrics", async (c) => c.text(await metrics.metrics(), 200, { "content-type": metrics.contentType }));
  return app;
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
