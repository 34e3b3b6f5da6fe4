// Serves POST /webhooks/github. No payload is parsed and no database is accessed before the signature over the raw body is
// verified.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries

import { createHash } from "node:crypto";

import type { Logger } from "@actions-archive/core/logger";
import type { Metrics } from "@actions-archive/core/metrics";
import { verifyWithFallback } from "@octokit/webhooks-methods";
import type { Context, Hono } from "hono";

import type { Delivery } from "./receive-delivery.ts";

export const webhookPath = "/webhooks/github";

/** GitHub delivers no larger payload. https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap */
export const maxBodyBytes = 25 * 1024 * 1024;
/** The maximum of buffered unverified bodies, so that senders without the secret cannot exhaust memory. */
const maxBufferedBytes = 8 * maxBodyBytes;
/** GitHub's timeout is 10 seconds, that of a GHES 30. */
const maxReadMs = 30_000;

const tooLarge = { error: "the payload is over 25 MB" };

/** Bytes of all bodies in progress. */
type Buffered = { bytes: number };

export type WebhookOptions = {
  /** One, or two during a rotation. None: every delivery is answered with 503. */
  readonly secrets: readonly string[];
  /** Stores the delivery; rejects when it could not be stored. */
  readonly receive: (delivery: Delivery) => Promise<string>;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
};

/**
 * Adds the route to the app of the fetcher's PORT. It answers 202 when the delivery is stored or has nothing to store; 401 for a
 * wrong signature; 413 over 25 MB; 503 when no secret is set, too many deliveries are in progress, or nothing could be stored.
 */
export function addWebhookRoute(app: Hono, { secrets, receive, log, metrics }: WebhookOptions): void {
  const buffered: Buffered = { bytes: 0 };
  app.use(webhookPath, async (c, next) => {
    await next();
    if (c.res.status !== 202) metrics?.webhooks.inc({ outcome: outcomeOfStatus[c.res.status] ?? "refused" });
  });
  app.post(webhookPath, async (c) => {
    const [secret, ...others] = secrets;
    if (secret === undefined) return c.json({ error: "GITHUB_WEBHOOK_SECRET is not set" }, 503);
    const signature = c.req.header("x-hub-signature-256");
    if (signature === undefined || !/^sha256=[0-9a-f]{64}$/.test(signature)) return refuse(c);
    if (Number(c.req.header("content-length")) > maxBodyBytes) return c.json(tooLarge, 413);
    const body = await readBody(c.req.raw.body, buffered);
    if (body === "too large") return c.json(tooLarge, 413);
    if (body === "too many") return c.json({ error: "too many deliveries at once" }, 503);
    if (body === "cut") return refuse(c);
    const text = tryDecode(body);
    if (!text || !(await verifyWithFallback(secret, text, signature, others))) return refuse(c);
    const guid = guidOf(c, body);
    const event = c.req.header("x-github-event") ?? "";
    try {
      const outcome = await receive({ guid, event, body: text });
      metrics?.webhooks.inc({ outcome });
      return c.json({ outcome }, 202);
    } catch (error) {
      log.warn({ err: error, guid }, "delivery not stored");
      return c.json({ error: "the delivery could not be stored; deliver it again" }, 503);
    }
  });
}

/** Outcomes of deliveries that were not accepted. */
const outcomeOfStatus: Readonly<Record<number, string>> = {
  401: "wrong_signature",
  413: "too_large",
  503: "not_stored",
};

function refuse(c: Context): Response {
  return c.json({ error: "the signature does not match" }, 401);
}

/**
 * The delivery's id; a body without one is identified by its hash. The signature does not cover headers, so the id is untrusted.
 */
function guidOf(c: Context, body: Uint8Array): string {
  const guid = c.req.header("x-github-delivery") ?? "";
  return /^[\w-]{8,64}$/.test(guid) ? guid : createHash("sha256").update(body).digest("hex");
}

/** @returns the complete body, or why it was not read. Reading stops at the size limit and at the timeout. */
async function readBody(
  stream: ReadableStream<Uint8Array> | null,
  buffered: Buffered,
): Promise<Uint8Array | "too large" | "too many" | "cut"> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    const timely = stream?.pipeThrough(new TransformStream<Uint8Array>(), { signal: AbortSignal.timeout(maxReadMs) });
    for await (const chunk of timely ?? []) {
      sizeBytes += chunk.length;
      buffered.bytes += chunk.length;
      if (sizeBytes > maxBodyBytes) return "too large";
      if (buffered.bytes > maxBufferedBytes) return "too many";
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch {
    return "cut";
  } finally {
    buffered.bytes -= sizeBytes;
  }
}

/** Decodes strictly: with a replaced or omitted character, the signature would cover another body. */
function tryDecode(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
}
