// A proxy before an S3 server that injects faults into PUTs and GETs. It also implements If-None-Match, which s3rver ignores, unless
// configured to ignore it as well.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import type { TestS3 } from "./test-s3.ts";

export type PutFault = "lose-answer" | "corrupt" | "refuse-after-body" | 403 | 404 | 409 | 412 | 503 | "error-in-200";

/**
 * The fault of a GET: `cut` closes the connection halfway; `short` sends half of the object as if it were all; `whole` ignores the range;
 * `flip` changes a byte; `huge` announces 3 GiB and sends nothing; 416: as if the object were shorter.
 */
export type GetFault = "cut" | "short" | "whole" | "flip" | "huge" | 416 | 503;

/** Random faults while set: with `chance`, a request gets one fault of its kind. */
export type RandomFaults = {
  readonly puts: readonly PutFault[];
  readonly gets: readonly GetFault[];
  readonly chance: number;
  /** @returns a number from 0 to 1, from a seed. */
  readonly random: () => number;
};

export type S3Proxy = AsyncDisposable & {
  /** The server behind the proxy, with the proxy's endpoint. */
  readonly s3: TestS3;
  /** Of the next PUTs, in order. */
  readonly faults: PutFault[];
  /** Of the next GETs of objects, in order; undefined: none. */
  readonly getFaults: (GetFault | undefined)[];
  randomFaults: RandomFaults | undefined;
  /** @returns the number of requests with a fault. */
  readonly hitCount: () => number;
  /** Whether to reject a body that does not match its Content-MD5; s3rver does not. */
  checksMd5: boolean;
  ignoresConditions: boolean;
  /** For each PUT: called before it is forwarded, and before its answer is sent. */
  beforePut: () => Promise<void> | void;
  afterPut: () => Promise<void> | void;
  readonly puts: () => number;
  readonly requests: { method: string; url: string; headers: IncomingMessage["headers"] }[];
};

const errorBody = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>scripted</Message></Error>`;

/** Older requests are dropped: a proxy may run for hours. */
const maxRequests = 100_000;

type FrontState = Omit<S3Proxy, "s3" | "hitCount" | "puts" | typeof Symbol.asyncDispose> & {
  hits: number;
  /** Keys with a conditional put in progress. */
  readonly inFlight: Set<string>;
};

type Answer = { status: number; headers: IncomingMessage["headers"]; body: Buffer };

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>));
}

function forward(s3: TestS3, method: string | undefined, from: IncomingMessage, body: Buffer): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { "content-length": _length, "if-none-match": _condition, ...headers } = from.headers;
  const hasBody = method === "PUT";
  const upstream = request(`${s3.endpoint}${from.url}`, { method, headers: hasBody ? from.headers : headers }, (response) => {
    bytesOf(response).then(
      (bytes) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes }),
      reject,
    );
  });
  upstream.on("error", reject);
  upstream.end(hasBody ? body : undefined);
  return promise;
}

async function answerPut(s3: TestS3, front: FrontState, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const fault = front.faults.shift() ?? drawFault(front, front.randomFaults?.puts);
  const body = await bytesOf(incoming);
  const reply = (status: number, code: string) =>
    outgoing.writeHead(status, { "content-type": "application/xml" }).end(errorBody(code));
  if (fault === 403) return void reply(403, "AccessDenied");
  if (fault === 404) return void reply(404, "NoSuchBucket");
  if (fault === 409) return void reply(409, "ConditionalRequestConflict");
  if (fault === 412) return void reply(412, "PreconditionFailed");
  if (fault === 503) return void reply(503, "SlowDown");
  if (fault === "error-in-200") return void reply(200, "InternalError");
  if (fault === "refuse-after-body") return void incoming.socket.destroy();
  if (fault === "corrupt") body.writeUInt8(body.readUInt8(0) ^ 1, 0);
  const md5 = front.checksMd5 ? incoming.headers["content-md5"] : undefined;
  if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64")) return void reply(400, "BadDigest");
  const result = await putOnce(s3, front, incoming, body);
  if (typeof result === "string") return void reply(result === "PreconditionFailed" ? 412 : 409, result);
  await front.afterPut();
  if (fault === "lose-answer") return void incoming.socket.destroy();
  outgoing.writeHead(result.status, result.headers).end(result.body);
}

// S3 answers one of two racing puts of a key with 409: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
async function putOnce(s3: TestS3, front: FrontState, incoming: IncomingMessage, body: Buffer): Promise<Answer | string> {
  const key = (incoming.url ?? "").split("?")[0] ?? "";
  const isConditional = incoming.headers["if-none-match"] === "*" && !front.ignoresConditions;
  if (isConditional && front.inFlight.has(key)) return "ConditionalRequestConflict";
  if (isConditional) front.inFlight.add(key);
  try {
    if (isConditional && (await forward(s3, "HEAD", incoming, body)).status === 200) return "PreconditionFailed";
    await front.beforePut();
    return await forward(s3, "PUT", incoming, body);
  } finally {
    if (isConditional) front.inFlight.delete(key);
  }
}

// Two corrupted reads must differ from each other.
function flip(body: Buffer, middle: number, randomFaults: RandomFaults | undefined): void {
  if (body.length === 0) return;
  const place = randomFaults === undefined ? middle : Math.floor(randomFaults.random() * body.length);
  body.writeUInt8(
    body.readUInt8(place) ^ (randomFaults === undefined ? 0x10 : 1 << Math.floor(randomFaults.random() * 8)),
    place,
  );
}

async function answerGet(
  s3: TestS3,
  { fault, randomFaults }: { readonly fault: GetFault | undefined; readonly randomFaults: RandomFaults | undefined },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
) {
  if (fault === 416) return void outgoing.writeHead(416).end(errorBody("InvalidRange"));
  if (fault === 503) return void outgoing.writeHead(503).end(errorBody("SlowDown"));
  if (fault === "whole") delete incoming.headers.range;
  const { status, headers: all, body } = await forward(s3, incoming.method, incoming, Buffer.alloc(0));
  // The body is complete, so a chunked one is forwarded with its length.
  const { "transfer-encoding": _framing, ...headers } = all;
  const half = body.subarray(0, Math.floor(body.length / 2));
  if (fault === "huge") return outgoing.writeHead(status, { ...headers, "content-length": 3 * 1024 ** 3 }).flushHeaders();
  if (fault === "short") return void outgoing.writeHead(status, { ...headers, "content-length": half.length }).end(half);
  outgoing.writeHead(status, { ...headers, "content-length": body.length });
  if (fault === "cut") return void outgoing.write(half, () => outgoing.destroy());
  if (fault === "flip") flip(body, half.length, randomFaults);
  outgoing.end(body);
}

/** Starts a proxy for the server of `s3`. Signatures include the proxy's address, so clients must use its endpoint. */
export async function openS3Proxy(s3: TestS3): Promise<S3Proxy> {
  const state: FrontState = {
    faults: [],
    getFaults: [],
    randomFaults: undefined,
    checksMd5: false,
    ignoresConditions: false,
    beforePut: () => {},
    afterPut: () => {},
    inFlight: new Set(),
    requests: [],
    hits: 0,
  };
  const server = createServer((incoming, outgoing) => {
    const { method = "", url = "" } = incoming;
    state.requests.push({ method, url, headers: { ...incoming.headers } });
    if (state.requests.length > maxRequests) state.requests.splice(0, maxRequests / 2);
    answer(s3, state, incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // The address of a TCP server is an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    s3: { ...s3, endpoint: `http://127.0.0.1:${port}` },
    hitCount: () => state.hits,
    puts: () => state.requests.filter(({ method }) => method === "PUT").length,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  });
}

async function answer(s3: TestS3, state: FrontState, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method, url = "" } = incoming;
  if (method === "PUT") return answerPut(s3, state, incoming, outgoing);
  if (method === "HEAD") {
    const { status, headers } = await forward(s3, "HEAD", incoming, Buffer.alloc(0));
    return void outgoing.writeHead(status, headers).end();
  }
  const isObject = method === "GET" && !/[?&](list-type|versions|versioning|object-lock|retention)\b/.test(url);
  const fault = isObject ? (state.getFaults.shift() ?? drawFault(state, state.randomFaults?.gets)) : undefined;
  return answerGet(s3, { fault, randomFaults: state.randomFaults }, incoming, outgoing);
}

function drawFault<Fault>(state: FrontState, kinds: readonly Fault[] | undefined): Fault | undefined {
  const { randomFaults } = state;
  if (randomFaults === undefined || kinds === undefined || kinds.length === 0 || randomFaults.random() >= randomFaults.chance)
    return undefined;
  state.hits++;
  return kinds[Math.floor(randomFaults.random() * kinds.length)];
}
