// HTTP connections to the API and to log hosts. The two share nothing, so that no credential or connection of one can be used for the
// other. Redirects are not followed and bodies not decoded.

import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from "undici";

import { guardedLookup, isLoopback, type LogHostRule } from "./log-hosts.ts";

export type Timeouts = {
  readonly connectMs: number;
  /** Maximum time of one complete response of the API. */
  readonly apiMs: number;
  /** Maximum time from the request of a log to its headers; GitHub's link is valid for about a minute. */
  readonly firstByteMs: number;
  /** Maximum time with no or hardly any bytes in the middle of a log. */
  readonly stallMs: number;
};

export const defaultTimeouts: Timeouts = { connectMs: 10_000, apiMs: 60_000, firstByteMs: 60_000, stallMs: 60_000 };

export type ApiCall = {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
};

/** The missing rest of a log that was cut. `etag`: the strong ETag of its first part. */
export type RestOfLog = { readonly startBytes: number; readonly etag: string };

/** Opened once per process. Disposing it aborts running requests. */
export class Transport implements AsyncDisposable {
  readonly #timeouts: Timeouts;
  readonly #api: Dispatcher;
  readonly #logs: Dispatcher;
  readonly #localLogs: Dispatcher;

  constructor(apiUrl: URL, logHosts: readonly LogHostRule[], timeouts: Timeouts) {
    this.#timeouts = timeouts;
    // HTTP/1.1 only: it shows a body's framing, and a log without framing is refused.
    const common = { allowH2: false, connectTimeout: timeouts.connectMs };
    // The number of connections is not limited: the budget has decided which requests may start, and a request that queues here would start late.
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

  /** Sends a request to the API. @throws undici's errors unchanged; the signal's reason. */
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
   * Requests a log from a log host without credential, user agent or cookie. With `rest`, requests the remaining bytes if it is still the
   * same log.
   * @throws undici's errors unchanged; the signal's reason.
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
    // A reader of the body receives its error; the error of an unread body must not end the process.
    response.body.on("error", () => undefined);
    return response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#api.destroy(), this.#logs.destroy(), this.#localLogs.destroy()]);
  }
}
