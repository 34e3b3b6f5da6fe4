// The webhook route: signatures, size limits and the answers.

import { createHmac } from "node:crypto";

import { createHealthApp, listen } from "@actions-archive/core/health";
import { createLogger } from "@actions-archive/core/logger";
import { Metrics } from "@actions-archive/core/metrics";
import fc from "fast-check";
import { Hono } from "hono";
import { expect, test } from "vitest";

import type { Delivery } from "./receive-delivery.ts";
import { addWebhookRoute, maxBodyBytes, webhookPath, type WebhookOptions } from "./webhook-route.ts";

const log = createLogger("test", "silent");
const secret = "It's a Secret to Everybody";
const sign = (body: string | Uint8Array, by = secret) => `sha256=${createHmac("sha256", by).update(body).digest("hex")}`;

function openRoute(options: Partial<WebhookOptions> = {}): { app: Hono; received: Delivery[] } {
  const app = new Hono();
  const received: Delivery[] = [];
  const receive = async (delivery: Delivery) => {
    received.push(delivery);
    return "recorded";
  };
  addWebhookRoute(app, { secrets: [secret], receive, log, ...options });
  return { app, received };
}

function post(app: Hono, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Response> {
  const all = { "x-github-event": "ping", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", ...headers };
  return Promise.resolve(app.request(webhookPath, { method: "POST", body, headers: all }));
}

test("GitHub's documented signature example is accepted, and its body passed on unchanged", async () => {
  const { app, received } = openRoute();
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
  const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const answer = await post(app, "Hello, World!", { "x-hub-signature-256": signature });
  expect(answer.status).toBe(202);
  expect(received).toEqual([{ guid: "72d3162e-cc78-11e3-81ab-4c9367dc0958", event: "ping", body: "Hello, World!" }]);
});

test("a body or a signature with a flipped bit is refused", async () => {
  const { app, received } = openRoute();
  const body = fc.string({ unit: "binary", minLength: 1 }).map((text) => Buffer.from(JSON.stringify({ text })));
  await fc.assert(
    fc.asyncProperty(body, fc.nat(), async (bytes, at) => {
      const flipped = new Uint8Array(bytes);
      const bit = at % (flipped.length * 8);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect((await post(app, flipped, { "x-hub-signature-256": sign(bytes) })).status).toBe(401);
      const hex = sign(bytes).slice(7);
      const digit = at % hex.length;
      const other = (Number.parseInt(hex.charAt(digit), 16) ^ (1 << (at % 4))).toString(16);
      const forged = `sha256=${hex.slice(0, digit)}${other}${hex.slice(digit + 1)}`;
      expect((await post(app, new Uint8Array(bytes), { "x-hub-signature-256": forged })).status).toBe(401);
    }),
    { numRuns: 100 },
  );
  expect(received).toEqual([]);
});

test("SHA-1, another secret, another length, a byte order mark and no body are refused", async () => {
  const { app, received } = openRoute();
  const sha1 = `sha1=${createHmac("sha1", secret).update("{}").digest("hex")}`;
  const statuses = [
    await post(app, "{}", { "x-hub-signature": sha1 }),
    await post(app, "{}", { "x-hub-signature-256": sha1 }),
    await post(app, "{}"),
    await post(app, "{}", { "x-hub-signature-256": sign("{}", "guessed") }),
    await post(app, "{}", { "x-hub-signature-256": sign("{}").slice(0, -1) }),
    await post(app, "{}", { "x-hub-signature-256": `${sign("{}")}0` }),
    await post(app, "\uFEFF{}", { "x-hub-signature-256": sign("{}") }),
    await post(app, "", { "x-hub-signature-256": sign("") }),
  ].map(({ status }) => status);
  expect(statuses).toEqual(statuses.map(() => 401));
  expect(received).toEqual([]);
});

test("during a rotation both secrets are accepted, and no third", async () => {
  const { app } = openRoute({ secrets: ["old", "new"] });
  const statusOf = async (by: string) => (await post(app, "{}", { "x-hub-signature-256": sign("{}", by) })).status;
  expect([await statusOf("old"), await statusOf("new"), await statusOf("old,new")]).toEqual([202, 202, 401]);
});

test("without a secret, or when the delivery cannot be stored, it answers 503", async () => {
  const closed = openRoute({ secrets: [] });
  expect((await post(closed.app, "{}", { "x-hub-signature-256": sign("{}") })).status).toBe(503);
  const failing = openRoute({ receive: () => Promise.reject(new Error("Postgres does not answer")) });
  expect((await post(failing.app, "{}", { "x-hub-signature-256": sign("{}") })).status).toBe(503);
});

test("a delivery without a usable id is identified by its hash", async () => {
  const { app, received } = openRoute();
  for (const guid of ["", "x".repeat(1_000), "' or 1=1"])
    await post(app, "{}", { "x-hub-signature-256": sign("{}"), "x-github-delivery": guid });
  expect(new Set(received.map(({ guid }) => guid)).size).toBe(1);
  expect(received[0]?.guid).toMatch(/^[0-9a-f]{64}$/);
});

test("over 25 MB it answers 413, whatever length was declared, and stops reading there", async () => {
  const { app, received } = openRoute();
  await using server = await listen(app, 0);
  const url = `http://127.0.0.1:${server.port}${webhookPath}`;
  const headers = { "x-hub-signature-256": sign("x") };
  const declared = await fetch(url, { method: "POST", headers, body: new Uint8Array(maxBodyBytes + 1) });
  expect(declared.status).toBe(413);
  let sentBytes = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sentBytes > 8 * maxBodyBytes) controller.error(new Error("the reader did not stop"));
      sentBytes += 65_536;
      controller.enqueue(new Uint8Array(65_536));
    },
  });
  const undeclared = await fetch(url, { method: "POST", headers, body: endless, duplex: "half" });
  expect(undeclared.status).toBe(413);
  const largest = Buffer.alloc(maxBodyBytes, "x");
  const whole = await fetch(url, { method: "POST", headers: { "x-hub-signature-256": sign(largest) }, body: largest });
  expect([whole.status, received.length]).toEqual([202, 1]);
});

test("the route coexists with the health routes", async () => {
  const app = createHealthApp({}, new Metrics());
  addWebhookRoute(app, { secrets: [secret], receive: async () => "recorded", log });
  expect((await app.request("/livez")).status).toBe(200);
  expect((await app.request(webhookPath)).status).toBe(404);
  expect((await post(app, "{}", { "x-hub-signature-256": sign("{}") })).status).toBe(202);
});
