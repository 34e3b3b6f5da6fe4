// Whoever can reach a fetcher's PORT: sends what it likes, as fast or as slowly as it likes.

import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Of the webhook's route. */
export const webhookPath = "/webhooks/github";

/** Without an `agent`, over a connection of its own. */
export type Target = { readonly port: number; readonly agent?: Agent };

/** `X-Hub-Signature-256` of a body. */
export const sign = (body: string | Buffer, by: string) => `sha256=${createHmac("sha256", by).update(body).digest("hex")}`;

/** Lets time pass in which nobody does anything. */
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

/** Sends so many forged ones in a second, for so many seconds, whatever the answers take. @returns how often each status was answered. */
export async function forge(
  port: number,
  good: string,
  pace: { perSecond: number; seconds: number },
): Promise<Record<number, number>> {
  // As large as a real one gets: who kept them would have to show it.
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
 * Says that it sends a good delivery, and sends a byte a second of it; nothing at all without a `start`.
 * @returns after how many seconds it was cut off; Infinity when `stop` came first.
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
