// A local HTTP server for tests that answers as scripted and records its requests: for responses that GitHub should not send, and to
// check what was never sent.

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";

type RecordedRequest = { readonly method: string; readonly path: string; readonly headers: IncomingHttpHeaders };

export type ScriptedServer = AsyncDisposable & {
  readonly origin: string;
  readonly journal: readonly RecordedRequest[];
};

/** A response that a handler returns instead of writing it itself. */
export type ScriptedAnswer = {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** An object is sent as JSON. */
  readonly body?: string | Buffer | object;
};

type Handler = (request: IncomingMessage, response: ServerResponse, index: number) => ScriptedAnswer | undefined;

/** Listens on a free port of 127.0.0.1 until disposed. `index` counts the requests from 0. */
export async function startScriptedServer(handler: Handler): Promise<ScriptedServer> {
  const journal: RecordedRequest[] = [];
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    const index = journal.push({ method, path: url, headers }) - 1;
    const answer = handler(request, response, index);
    if (answer === undefined) return;
    const { status = 200, body = "" } = answer;
    const isRaw = typeof body === "string" || Buffer.isBuffer(body);
    const bytes = Buffer.from(isRaw ? body : JSON.stringify(body));
    const type = isRaw ? {} : { "content-type": "application/json; charset=utf-8" };
    response.writeHead(status, { ...type, "content-length": String(bytes.length), ...answer.headers });
    response.end(bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    origin: `http://127.0.0.1:${address.port}`,
    journal,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      if (server.listening) await once(server, "close");
    },
  };
}
