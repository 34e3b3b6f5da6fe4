// A client that can reach a fetcher's PORT, and sends arbitrary requests at any rate.

import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** The path of the webhook route. */
export const webhookPath = "/webhooks/github";

/** Without an `agent`, each request has its own connection. */
export type Target = { readonly port: number; readonly agent?: Agent };

/** @returns the `X-Hub-Signature-256` of a body. */
export const sign = (body: string | Buffer, by: string) => `sha256=${createHmac("sha256", by).update(body).digest("hex")}`;

/** Waits without sending anything. */
export async function rest(seconds: number): Promise<void> {
  await sleep(seconds * 1000);
}

/** @returns the status of the answer. */
export async function post({ port, agent }: Target, body: string | Buffer, headers: Record<string, string>): Promise<number> {
  const all = { "content-type": "application/json", "content-length": Buffer.byteLength(body), "x-github-event": "workflow_job" };
  const sent = request({ port, agent: agent ?? false, path: webhookPath, method: "POST", headers: { ...all, ...headers } }).end(
    body,
  );
  // What `response` is called with.
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  await once(response.resume(), "end");
  return response.statusCode ?? 0;
}

/** Sends forged deliveries at a fixed rate, without waiting for answers. @returns the number of answers by status. */
export async function forge(
  port: number,
  good: string,
  pace: { perSecond: number; seconds: number },
): Promise<Record<number, number>> {
  // As large as a real delivery can get, so that a leak of stored bodies would show.
  const body = good.padEnd(20_000);
  const signature = sign(body, "guessed");
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  const answers: Promise<number>[] = [];
  const startedAt = performance.now();
  const total = pace.perSecond * pace.seconds;
  while (answers.length < total) {
    const due = Math.min(total, ((performance.now() - startedAt) / 1000) * pace.perSecond);
    while (answers.length < due)
      answers.push(post({ port, agent }, body, { "x-hub-signature-256": signature, "x-github-delivery": randomUUID() }));
    await sleep(5);
  }
  const statuses = await Promise.all(answers);
  agent.destroy();
  return Object.fromEntries(
    Map.groupBy(statuses, (status) => status)
      .entries()
      .map(([status, all]) => [status, all.length]),
  );
}

/**
 * Announces a good delivery, and sends one byte of it per second; without a `start`, nothing at all.
 * @returns the seconds until the connection was closed; Infinity when `stop` was aborted before.
 */
export async function sendSlowly(port: number, start: string, stop: AbortSignal): Promise<number> {
  const startedAt = performance.now();
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  const timer = start === "" ? undefined : setInterval(() => socket.write("x"), 1_000);
  try {
    if (start !== "") socket.write(start);
    await once(socket, "close", { signal: stop });
    return (performance.now() - startedAt) / 1000;
  } catch {
    return Infinity;
  } finally {
    clearInterval(timer);
    socket.destroy();
  }
}
