// The two ways out of this package: to the API, and to a log host. They share nothing, so that neither a credential nor a
// connection of the one can end up with the other. Redirects are never followed here, bodies never decoded.

import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from "undici";

import { guardedLookup, isLoopback, type LogHostRule } from "./log-hosts.ts";

export type Timeouts = {
  readonly connectMs: number;
  /** For one whole answer of the API. */
  readonly apiMs: number;
  /** From the request of a log to its headers: GitHub's link is good for about a minute. */
  readonly firstByteMs: number;
  /** Without a byte, or with hardly any, in the middle of a log. */
  readonly stallMs: number;
};

export const defaultTimeouts: Timeouts = { connectMs: 10_000, apiMs: 60_000, firstByteMs: 60_000, stallMs: 60_000 };

export type ApiCall = {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
};

/** What is missing of a log that was cut: `etag` is the strong one that its first part came with. */
export type RestOfLog = { readonly startBytes: number; readonly etag: string };

/** Opened once per process; disposing it cuts what is still in flight. */
export class Transport implements AsyncDisposable {
  readonly #timeouts: Timeouts;
  readonly #api: Dispatcher;
  readonly #logs: Dispatcher;
  readonly #localLogs: Dispatcher;

  constructor(apiUrl: URL, logHosts: readonly LogHostRule[], timeouts: Timeouts) {
    this.#timeouts = timeouts;
    // HTTP/1.1 alone: there a body's framing is visible, and a log without framing is refused.
    const common = { allowH2: false, connectTimeout: timeouts.connectMs };
    // As many connections as requests: what may start was decided by the budget, and one that queues here would start late.
    const api = { ...common, headersTimeout: timeouts.apiMs, bodyTimeout: timeouts.apiMs };
    const logs = {
      ...common,
      headersTimeout: timeouts.firstByteMs,
      bodyTimeout: timeouts.stallMs,
      connect: { lookup: guardedLookup(logHosts) },
    };
    // A proxy cannot reach this machine's loopback, and HTTP_PROXY is often set without NO_PROXY.
    this.#api = isLoopback(apiUrl.hostname) ? new Agent(api) : new EnvHttpProxyAgent(api);
    this.#logs = new EnvHttpProxyAgent(logs);
    this.#localLogs = new Agent(logs);
  }

  /** @throws undici's errors as they are, and the signal's reason. */
  async callApi({ method, url, headers, signal }: ApiCall): Promise<Dispatcher.ResponseData> {
    const deadline = AbortSignal.timeout(this.#timeouts.apiMs);
    return request(url, {
      method,
      headers: { ...headers, "accept-encoding": "identity" },
      dispatcher: this.#api,
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    });
  }

  /**
   * Asks a log host, with nothing that it does not need: no credential, no name, no cookie. With `rest`, for the log's bytes
   * from there on, if it is still the same log.
   * @throws undici's errors as they are, and the signal's reason.
   */
  async downloadLog(
    url: URL,
    { signal, rest }: { readonly signal?: AbortSignal | undefined; readonly rest?: RestOfLog | undefined } = {},
  ): Promise<Dispatcher.ResponseData> {
    const range = rest && { range: `bytes=${rest.startBytes}-`, "if-match": rest.etag };
    const response = await request(url, {
      method: "GET",
      headers: { "accept-encoding": "identity", ...range },
      dispatcher: isLoopback(url.hostname) ? this.#localLogs : this.#logs,
      ...(signal === undefined ? {} : { signal }),
    });
    // Whoever reads the body gets its error; a body that is dropped unread must not end the process with one.
    response.body.on("error", () => undefined);
    return response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#api.destroy(), this.#logs.destroy(), this.#localLogs.destroy()]);
  }
}
