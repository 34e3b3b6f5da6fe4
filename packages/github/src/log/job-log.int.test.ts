// Hostile redirects and bodies: how each is handled, and that neither the credential nor the signed link leaks.

import type { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { inspect } from "node:util";

import { createLogger } from "@actions-archive/core/logger";
import { expect, test } from "vitest";

import { type ScriptedAnswer, type ScriptedServer, startScriptedServer } from "../../test-support/scripted-server.ts";
import { openGitHub } from "../github.ts";
import { type LogHostRule, parseLogHosts } from "../transport/log-hosts.ts";
import { createProcessBudget } from "../transport/process-budget.ts";
import type { Timeouts } from "../transport/transport.ts";
import { requestJobLog } from "./job-log.ts";

const token = "ghp_canary0123456789";
const signature = "?se=2026&sig=canary%2Bsignature";
const apiDate = "Mon, 05 Apr 2021 15:43:09 GMT";
const text = Buffer.from("2026-01-01T00:00:00.0000000Z hello\n".repeat(100));
const azureHeaders = { "x-ms-error-code": "BlobNotFound", "content-type": "application/xml" };

type Scene = {
  /** The log host's response; by default the log. */
  readonly serve?: (response: ServerResponse, index: number, logs: string) => ScriptedAnswer | undefined;
  /** Where the API points to, given the log host's origin. */
  readonly locate?: (logs: string) => string | undefined;
  readonly hosts?: (logs: string) => readonly LogHostRule[];
  readonly timeouts?: Partial<Timeouts>;
  readonly signal?: AbortSignal;
};

/** One request of a log in a scene. Throws the request's error with everything that was logged checked for secrets. */
async function play({ serve, locate = (logs) => `${logs}/job.txt${signature}`, hosts = parseLogHosts, timeouts, signal }: Scene) {
  const lines: string[] = [];
  await using logs: ScriptedServer = await startScriptedServer((_request, response, index) =>
    serve === undefined ? { body: text } : serve(response, index, logs.origin),
  );
  await using api = await startScriptedServer(() => {
    const location = locate(logs.origin);
    return {
      status: 302,
      headers: { date: apiDate, "content-type": "text/html;charset=utf-8", ...(location === undefined ? {} : { location }) },
    };
  });
  await using github = openGitHub({
    apiUrl: new URL(api.origin),
    credentials: { kind: "token", token },
    logHosts: hosts(logs.origin),
    budget: createProcessBudget({ now: () => new Date(apiDate) }),
    log: createLogger("test", "trace", new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) })),
    ...(timeouts === undefined ? {} : { timeouts }),
  });
  const outcome = await read().catch((error: unknown) => ({ error }));
  expect(`${inspect(outcome, { depth: 10, showHidden: true })}${lines.join("")}`).not.toMatch(/canary/);
  return { outcome, asked: logs.journal, apiCalls: api.journal.length };

  async function read() {
    const answer = await requestJobLog(github, { repository: "octo/app", jobId: 7, signal });
    if (answer.kind !== "log") return answer;
    const chunks: Buffer[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    return {
      kind: answer.kind,
      date: answer.date,
      declaredBytes: answer.declaredBytes,
      hasDocumentType: answer.hasDocumentType,
      bytes: Buffer.concat(chunks),
    };
  }
}

test("a log is complete and has its length and the API's date", async () => {
  const { outcome } = await play({
    serve: () => ({ body: text, headers: { etag: '"0x8D"', date: "Thu, 01 Jan 2026 00:00:00 GMT" } }),
  });
  expect(outcome).toMatchObject({ kind: "log", date: new Date(apiDate), declaredBytes: text.length, bytes: text });
});

test("the log host gets a bare request: the path, the host, and that nothing may be encoded", async () => {
  const { asked } = await play({});
  expect(asked).toHaveLength(1);
  expect(Object.keys(asked[0]?.headers ?? {}).toSorted()).toEqual(["accept-encoding", "connection", "host"]);
  expect(asked[0]?.headers["accept-encoding"]).toBe("identity");
  expect(asked[0]?.path).toBe(`/job.txt${signature}`);
});

test("a chunked log is complete and has no declared length", async () => {
  const { outcome } = await play({
    serve: (response) => {
      response.write(text.subarray(0, 10));
      response.end(text.subarray(10));
      return undefined;
    },
  });
  expect(outcome).toMatchObject({ kind: "log", declaredBytes: undefined, bytes: text });
});

test.each(["", "Identity", "aws-chunked", "identity, AWS-chunked", " identity ,"])(
  "a Content-Encoding that encodes nothing (%j) is accepted",
  async (encoding) => {
    const { outcome } = await play({ serve: () => ({ body: text, headers: { "content-encoding": encoding } }) });
    expect(outcome).toMatchObject({ kind: "log", bytes: text });
  },
);

test.each([
  ["text/html; charset=utf-8", true],
  ["application/xhtml+xml", true],
  ["application/xml", true],
  ["application/json", true],
  ["application/problem+json", true],
  ["text/plain", false],
  ["application/octet-stream", false],
])("the type %s is not refused, and said to be a document's: %s", async (type, hasDocumentType) => {
  const { outcome } = await play({ serve: () => ({ body: text, headers: { "content-type": type } }) });
  expect(outcome).toMatchObject({ kind: "log", hasDocumentType, bytes: text });
});

test("a log of no bytes is a log", async () => {
  const { outcome } = await play({ serve: () => ({ body: "" }) });
  expect(outcome).toMatchObject({ kind: "log", declaredBytes: 0, bytes: Buffer.alloc(0) });
});

test("a second redirect to an allowed host is followed, a third is not", async () => {
  const once = await play({
    serve: (_response, index) =>
      index === 0 ? { status: 307, headers: { location: `/moved.txt${signature}` } } : { body: text },
  });
  expect(once.outcome).toMatchObject({ kind: "log", bytes: text });
  const forever = await play({ serve: () => ({ status: 302, headers: { location: `/again.txt${signature}` } }) });
  expect(forever.outcome).toMatchObject({ error: { code: "log/redirect-refused" } });
  expect(forever.asked).toHaveLength(2);
});

test.each<[string, (logs: string) => string]>([
  ["a host that is not allowed", () => `https://evil.example/x${signature}`],
  ["another port", (logs) => `${logs.replace(/\d+$/, "1")}/x${signature}`],
  ["another scheme", (logs) => `${logs.replace("http:", "https:")}/x${signature}`],
  ["another name of the same address", (logs) => `${logs.replace("127.0.0.1", "localhost")}/x${signature}`],
  ["a user and a password", (logs) => `${logs.replace("http://", "http://canary:canary@")}/x${signature}`],
  ["the cloud's metadata service", () => `http://169.254.169.254/latest/meta-data${signature}`],
  ["a private address", () => `https://10.0.0.1/x${signature}`],
  ["a private address in IPv6", () => `https://[fd00::1]/x${signature}`],
  ["a private address inside IPv6", () => `https://[::ffff:10.0.0.1]/x${signature}`],
  ["a private address as a number", () => `https://2130706433/x${signature}`],
  ["a file", () => `file:///etc/passwd${signature}`],
  ["the API itself", () => `/repos/octo/app/secret${signature}`],
])("a redirect to %s is refused and nothing is sent there", async (_, locate) => {
  const { outcome, asked, apiCalls } = await play({ locate });
  expect(outcome).toMatchObject({ error: { name: "PermanentError", code: "log/redirect-refused" } });
  expect(asked).toHaveLength(0);
  expect(apiCalls).toBe(1);
});

test.each<[string, (logs: string) => string]>([
  ["a host that is not on the list", () => `https://evil.example/x${signature}`],
  ["another name of the same address", (logs) => `${logs.replace("127.0.0.1", "localhost")}/x${signature}`],
  ["the cloud's metadata service", () => `http://169.254.169.254/latest/meta-data${signature}`],
])("a log host's own redirect to %s is refused and nothing is sent there", async (_, locate) => {
  const { outcome, asked } = await play({
    serve: (_response, index, logs) => (index === 0 ? { status: 302, headers: { location: locate(logs) } } : { body: text }),
  });
  expect(outcome).toMatchObject({ error: { name: "PermanentError", code: "log/redirect-refused" } });
  expect(asked).toHaveLength(1);
});

test("a host that is allowed by a pattern and leads to a private address is refused after DNS", async () => {
  const { outcome, asked } = await play({
    locate: (logs) => `${logs.replace("127.0.0.1", "localhost")}/x${signature}`,
    hosts: (logs) => [{ protocol: "http:", host: "local*", port: new URL(logs).port, literal: false }],
  });
  expect(outcome).toMatchObject({ error: { code: "log/redirect-refused", cause: { code: "ERR_LOG_HOST_PRIVATE_ADDRESS" } } });
  expect(asked).toHaveLength(0);
});

test.each<[string, ScriptedAnswer, string]>([
  [
    "Azure refuses an old link",
    { status: 403, body: "<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>" },
    "log/upstream-error",
  ],
  [
    "Azure refuses a request",
    { status: 400, body: "<Error><Code>InvalidAuthenticationInfo</Code></Error>" },
    "log/upstream-error",
  ],
  ["the log host fails", { status: 503, body: "" }, "log/upstream-error"],
  ["the log host says gone", { status: 410, body: "" }, "log/upstream-error"],
  ["the log host is too busy", { status: 429, body: "" }, "log/upstream-error"],
  ["a 404 of a proxy", { status: 404, body: "<html>not here</html>" }, "log/upstream-error"],
  ["a 404 for a whole container", { status: 404, body: "<Error><Code>ContainerNotFound</Code></Error>" }, "log/upstream-error"],
  ["a part that was not requested", { status: 206, body: "part" }, "log/upstream-error"],
  ["a body that was encoded unasked", { body: "x", headers: { "content-encoding": "gzip" } }, "log/upstream-error"],
  ["a body that was encoded twice", { body: "x", headers: { "content-encoding": "aws-chunked, gzip" } }, "log/upstream-error"],
  ["a redirect without a location", { status: 302 }, "log/upstream-error"],
  ["a redirect that is no URL", { status: 302, headers: { location: `http://[${signature}` } }, "log/upstream-error"],
])("when %s, a fresh link is asked for", async (_, answer, code) => {
  const { outcome } = await play({ serve: () => answer });
  expect(outcome).toMatchObject({ error: { name: "TransientError", code } });
});

test.each<[string, ScriptedAnswer]>([
  ["in its header", { status: 404, headers: azureHeaders, body: "" }],
  ["in its XML", { status: 404, body: "<?xml version='1.0'?><Error><Code>BlobNotFound</Code><Message>x</Message></Error>" }],
  ["in the words of S3", { status: 404, body: "<Error><Code>NoSuchKey</Code></Error>" }],
])("the store's own word for a missing log, %s, is a log that is not found", async (_, answer) => {
  expect((await play({ serve: () => answer })).outcome).toEqual({ kind: "not-found", from: "blob", date: new Date(apiDate) });
});

test.each<[string, (response: ServerResponse) => undefined]>([
  [
    "is cut before its length",
    (response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write(text.subarray(0, 100), () => response.socket?.resetAndDestroy());
    },
  ],
  [
    "ends cleanly before its length",
    (response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n${"x".repeat(100)}`);
    },
  ],
  [
    "is cut between two chunks",
    (response) => {
      response.write(text.subarray(0, 100), () => response.socket?.destroy());
    },
  ],
  [
    "has no length and no chunks",
    (response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${text.toString()}`);
    },
  ],
  [
    "stalls",
    (response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write(text.subarray(0, 100));
    },
  ],
  [
    "has a chunk that is no chunk",
    (response) => {
      response.socket?.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n");
    },
  ],
])("a body that %s is incomplete", async (_, write) => {
  const { outcome } = await play({ serve: write, timeouts: { stallMs: 200 } });
  expect(outcome).toMatchObject({ error: { name: "TransientError", code: "log/incomplete" } });
});

test.each<[string, (response: ServerResponse) => undefined]>([
  ["does not answer in time", () => undefined],
  ["hangs up", (response) => void response.socket?.resetAndDestroy()],
  [
    "says two lengths",
    (response) => void response.socket?.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
  ],
  [
    "says a length and chunks",
    (response) =>
      void response.socket?.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
  ],
  ["says nothing that is HTTP", (response) => void response.socket?.end(`nonsense ${signature}\r\n\r\n`)],
])("a log host that %s has failed", async (_, write) => {
  const { outcome } = await play({ serve: write, timeouts: { firstByteMs: 200 } });
  expect(outcome).toMatchObject({ error: { name: "TransientError", code: "log/upstream-error" } });
});

test.each([
  ["no link at all", () => undefined],
  ["a link that is no URL", () => `http://[canary${signature}`],
])("%s is an answer that the API does not give", async (_, locate) => {
  expect((await play({ locate })).outcome).toMatchObject({ error: { code: "github/unexpected-answer" } });
});

test("an aborted download ends with the signal's reason", async () => {
  const stop = new AbortController();
  const { outcome } = await play({
    signal: stop.signal,
    serve: (response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("x", () => stop.abort(new Error("shutting down")));
      return undefined;
    },
  });
  expect(outcome).toMatchObject({ error: { message: "shutting down" } });
});

test.each<[string, ScriptedAnswer, object]>([
  ["404", { status: 404, body: { message: "Not Found" } }, { kind: "not-found", from: "api" }],
  ["410", { status: 410, body: { message: "Server Error", status: "410" } }, { kind: "gone" }],
  [
    "403",
    { status: 403, body: { message: "Must have admin rights to Repository." } },
    { error: { name: "PermanentError", code: "github/forbidden" } },
  ],
  ["404 from a proxy", { status: 404, body: "<html>" }, { error: { name: "TransientError", code: "github/unexpected-answer" } }],
  ["410 from a proxy", { status: 410, body: "gone" }, { error: { name: "TransientError", code: "github/unexpected-answer" } }],
  ["200 with a page", { status: 200, body: "<html>" }, { error: { name: "TransientError", code: "github/unexpected-answer" } }],
  ["200 with a text", { status: 200, body: text }, { error: { name: "TransientError", code: "github/unexpected-answer" } }],
  ["429", { status: 429, headers: { "retry-after": "8" }, body: "Whoa there!" }, { error: { code: "github/rate-limited" } }],
])("%s from the API is distinguished", async (_, answer, expected) => {
  await using api = await startScriptedServer(() => answer);
  await using github = openGitHub({
    apiUrl: new URL(api.origin),
    credentials: { kind: "token", token },
    logHosts: [],
    budget: createProcessBudget({ now: () => new Date(apiDate) }),
    log: createLogger("test", "silent"),
  });
  const outcome = await requestJobLog(github, { repository: "octo/app", jobId: 7 }).catch((error: unknown) => ({ error }));
  expect(outcome).toMatchObject(expected);
});

test("a log that is not wanted after all lets go of its connection", async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  await using logs = await startScriptedServer((_request, response) => {
    response.writeHead(200, { "content-length": "1000000" });
    response.write("x");
    response.once("close", resolve);
    return undefined;
  });
  await using api = await startScriptedServer(() => ({ status: 302, headers: { location: `${logs.origin}/x` } }));
  await using github = openGitHub({
    apiUrl: new URL(api.origin),
    credentials: { kind: "token", token },
    logHosts: parseLogHosts(logs.origin),
    budget: createProcessBudget({ now: () => new Date(apiDate) }),
    log: createLogger("test", "silent"),
  });
  const answer = await requestJobLog(github, { repository: "octo/app", jobId: 7 });
  if (answer.kind !== "log") throw new Error("no log");
  answer.discard();
  await expect(closed).resolves.toBeUndefined();
});
