// Sends an answer over a raw response, modified by a scripted fault. Raw, because a fault changes bytes and framing, which no framework
// allows.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import type { Fault } from "./faults.ts";
import type { JournalEntry } from "./journal.ts";

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Exact length of `body`; undefined: chunked. */
  readonly length: number | undefined;
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
};

/** An answer with its body in memory. */
export function answerOf(status: number, headers: Readonly<Record<string, string>>, text: string | Uint8Array): Answer {
  const body = typeof text === "string" ? Buffer.from(text) : text;
  return { status, headers, length: body.length, body: body.length === 0 ? [] : [body] };
}

/** @returns the body of an answer in memory. */
export function bytesOf({ body }: Answer): Buffer {
  return Buffer.concat(Array.isArray(body) ? body : []);
}

/** Sends `answer`, and records status and bytes in `entry`. Resolves when all is sent or the client has disconnected; does not reject for that. */
export async function sendAnswer(
  response: ServerResponse,
  { answer, fault, entry, closing }: { answer: Answer; fault: Fault | undefined; entry: JournalEntry; closing: AbortSignal },
): Promise<void> {
  if (fault !== undefined && fault.delayMs > 0) await sleep(fault.delayMs, undefined, { signal: closing });
  if (fault?.reset === true) return reset(response);
  const shaped = fault === undefined ? answer : spoil(answer, fault);
  entry.status = shaped.status;
  entry.limits = limitsOf(shaped);
  writeHead(response, shaped, fault);
  if (entry.method === "HEAD" || shaped.status === 204 || shaped.status === 304) return void response.end();
  const limit = Math.min(fault?.cutAfterBytes ?? Infinity, fault?.endAfterBytes ?? Infinity, fault?.stallAfterBytes ?? Infinity);
  await writeBody(response, { shaped, limit, isEndless: fault?.endless === true, entry });
  if (response.destroyed) return;
  if (fault?.stallAfterBytes !== undefined) return waitForClose(response, closing);
  // Ending the socket delivers all that was written and then closes, so the client gets exactly the bytes that the test specified.
  if (fault?.cutAfterBytes !== undefined || fault?.contentLength !== undefined) response.socket?.end();
  else response.end();
}

function spoil(answer: Answer, fault: Fault): Answer {
  const headers = {
    ...answer.headers,
    ...(fault.location === undefined ? {} : { location: fault.location }),
    ...lowerCase(fault.headers),
  };
  if (fault.status !== undefined) return answerOf(fault.status, headersOfCanned(answer, fault), fault.body ?? "");
  if (fault.body !== undefined) return answerOf(answer.status, headers, fault.body);
  const length =
    fault.endAfterBytes === undefined || answer.length === undefined
      ? answer.length
      : Math.min(fault.endAfterBytes, answer.length);
  return { ...answer, headers, length };
}

// A canned answer keeps the headers of the origin (date, server, limits), and loses those that described the true body.
function headersOfCanned(answer: Answer, fault: Fault): Record<string, string> {
  const gone = new Set(["etag", "link", "location", "content-type", "content-range", "last-modified"]);
  const kept = Object.entries(answer.headers).filter(([name]) => !gone.has(name));
  const location = fault.location === undefined ? {} : { location: fault.location };
  const isJson = fault.body?.startsWith("{") === true || fault.body?.startsWith("[") === true;
  return {
    ...Object.fromEntries(kept),
    "content-type": isJson ? "application/json; charset=utf-8" : "text/html",
    ...location,
    ...lowerCase(fault.headers),
  };
}

function limitsOf({ headers }: Answer): Record<string, string> {
  const names = Object.keys(headers).filter((name) => name.startsWith("x-ratelimit-") || name === "retry-after");
  return names.length === 0 ? {} : Object.fromEntries(["date", ...names].map((name) => [name, headers[name] ?? ""]));
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function writeHead(response: ServerResponse, { status, headers, length }: Answer, fault: Fault | undefined): void {
  const hasBody = status !== 204 && status !== 304;
  response.sendDate = false;
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (!hasBody) return;
  if (fault?.framing === "close" || (fault?.endless === true && fault.framing === undefined)) {
    response.useChunkedEncodingByDefault = false;
    response.removeHeader("content-length");
    response.setHeader("connection", "close");
    response.shouldKeepAlive = false;
  } else if (length !== undefined && fault?.framing !== "chunked") {
    response.strictContentLength = false;
    response.setHeader("content-length", String(declaredLength(length, fault)));
  }
  response.flushHeaders();
}

function declaredLength(length: number, fault: Fault | undefined): number {
  if (typeof fault?.contentLength === "number") return fault.contentLength;
  if (fault?.contentLength === "short") return Math.max(Math.floor(length * 0.9), 0);
  if (fault?.contentLength === "long") return Math.ceil(length * 1.1) + 1;
  return length;
}

async function writeBody(
  response: ServerResponse,
  { shaped, limit, isEndless, entry }: { shaped: Answer; limit: number; isEndless: boolean; entry: JournalEntry },
): Promise<void> {
  const chunks = isEndless ? repeat(shaped.body) : shaped.body;
  for await (const chunk of chunks) {
    if (response.destroyed) return;
    const left = limit - entry.bytesSent;
    const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
    entry.bytesSent += part.length;
    if (part.length > 0 && !response.write(part)) await drained(response);
    if (part.length < chunk.length || left === part.length) return;
  }
}

async function* repeat(body: Answer["body"]): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  while (chunks.length > 0) yield* chunks;
}

async function drained(response: ServerResponse): Promise<void> {
  const done = new AbortController();
  try {
    await Promise.race([once(response, "drain", { signal: done.signal }), once(response, "close", { signal: done.signal })]);
  } finally {
    done.abort();
  }
}

async function waitForClose(response: ServerResponse, closing: AbortSignal): Promise<void> {
  if (response.destroyed || closing.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once("close", resolve);
  closing.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  response.destroy();
}

function reset(response: ServerResponse): void {
  const { socket } = response;
  if (socket !== null && "resetAndDestroy" in socket) socket.resetAndDestroy();
  else response.destroy();
}
