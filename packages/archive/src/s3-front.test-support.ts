// A server before s3rver that misbehaves as told, in PUTs and in GETs. It also holds If-None-Match, which the server behind it
// ignores, unless it is told to ignore it too.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { startTestS3, type TestS3 } from "@actions-archive/testkit/test-s3";

import { openStore, type StoreSettings } from "./open-store.ts";
import type { Store } from "./store.ts";

export type PutFault = "lose-answer" | "corrupt" | "refuse-after-body" | 403 | 404 | 409 | 412 | 503 | "error-in-200";

/**
 * What becomes of an object on the way: `cut` breaks the connection in its midst; `short` gives half of it, and says that this is
 * all; `whole` ignores the range; `flip` changes a byte; `huge` says that it has 3 GiB, and sends nothing; 416: as if it were shorter.
 */
export type GetFault = "cut" | "short" | "whole" | "flip" | "huge" | 416 | 503;

export type Front = AsyncDisposable & {
  readonly settings: StoreSettings;
  readonly store: Store;
  /** Of the next PUTs. */
  readonly faults: PutFault[];
  /** Of the next GETs of objects; undefined: none. */
  readonly getFaults: (GetFault | undefined)[];
  /** Refuses a body that does not have its Content-MD5, as the server behind it does not. */
  checksMd5: boolean;
  ignoresConditions: boolean;
  /** Of each PUT, before it reaches the server behind, and before its answer leaves. */
  beforePut: () => Promise<void> | void;
  afterPut: () => Promise<void> | void;
  readonly puts: () => number;
  readonly requests: { method: string; url: string; headers: IncomingMessage["headers"] }[];
};

const errorBody = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>scripted</Message></Error>`;

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

async function answerPut(s3: TestS3, front: Front, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const fault = front.faults.shift();
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
  const isConditional = incoming.headers["if-none-match"] === "*" && !front.ignoresConditions;
  if (isConditional && (await forward(s3, "HEAD", incoming, body)).status === 200) return void reply(412, "PreconditionFailed");
  if (fault === "corrupt") body.writeUInt8(body.readUInt8(0) ^ 1, 0);
  const md5 = front.checksMd5 ? incoming.headers["content-md5"] : undefined;
  if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64")) return void reply(400, "BadDigest");
  await front.beforePut();
  const result = await forward(s3, "PUT", incoming, body);
  await front.afterPut();
  if (fault === "lose-answer") return void incoming.socket.destroy();
  outgoing.writeHead(result.status, result.headers).end(result.body);
}

async function answerGet(s3: TestS3, fault: GetFault | undefined, incoming: IncomingMessage, outgoing: ServerResponse) {
  if (fault === 416) return void outgoing.writeHead(416).end(errorBody("InvalidRange"));
  if (fault === 503) return void outgoing.writeHead(503).end(errorBody("SlowDown"));
  if (fault === "whole") delete incoming.headers.range;
  const { status, headers, body } = await forward(s3, incoming.method, incoming, Buffer.alloc(0));
  const half = body.subarray(0, Math.floor(body.length / 2));
  if (fault === "huge") return outgoing.writeHead(status, { ...headers, "content-length": 3 * 1024 ** 3 }).flushHeaders();
  if (fault === "short") return void outgoing.writeHead(status, { ...headers, "content-length": half.length }).end(half);
  outgoing.writeHead(status, { ...headers, "content-length": body.length });
  if (fault === "cut") return void outgoing.write(half, () => outgoing.destroy());
  if (fault === "flip") body.writeUInt8(body.readUInt8(half.length) ^ 0x10, half.length);
  outgoing.end(body);
}

export async function openFront(settings: Partial<StoreSettings> = {}): Promise<Front> {
  await using resources = new AsyncDisposableStack();
  const s3 = resources.use(await startTestS3());
  const server = createServer((incoming, outgoing) => {
    const { method = "", url = "" } = incoming;
    front.requests.push({ method, url, headers: { ...incoming.headers } });
    const isObject = method === "GET" && !url.includes("list-type");
    const answering =
      method === "PUT"
        ? answerPut(s3, front, incoming, outgoing)
        : method === "HEAD"
          ? forward(s3, "HEAD", incoming, Buffer.alloc(0)).then(({ status, headers }) =>
              outgoing.writeHead(status, headers).end(),
            )
          : answerGet(s3, isObject ? front.getFaults.shift() : undefined, incoming, outgoing);
    answering.catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  resources.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server that was given a port has an address with one.
  const { port } = server.address() as AddressInfo;
  const all: StoreSettings = {
    ARCHIVE_URL: new URL(`s3://${s3.bucket}/${s3.prefix}`),
    S3_ENDPOINT: new URL(`http://127.0.0.1:${port}`),
    S3_FORCE_PATH_STYLE: true,
    ...settings,
  };
  const store = resources.use(await openStore(all));
  const opened = resources.move();
  const front: Front = {
    settings: all,
    store,
    faults: [],
    getFaults: [],
    checksMd5: false,
    ignoresConditions: false,
    beforePut: () => {},
    afterPut: () => {},
    requests: [],
    puts: () => front.requests.filter(({ method }) => method === "PUT").length,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
  return front;
}
