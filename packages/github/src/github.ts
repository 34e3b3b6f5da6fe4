// One request to GitHub's API, whole: whose credential, is there budget, send, what did the limits say, is it an answer.
// The endpoints' own files say what is asked; nothing else in the code base talks to GitHub.

import type { Budget, RequestOutcome } from "@actions-archive/core/budget";
import { ConfigError, PermanentError, RateLimitedError, TransientError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import { retry } from "@actions-archive/core/retry";
import type { Dispatcher } from "undici";
import type { z } from "zod";

import type { Answer, ApiClient, ApiRequest, Credential, NotModified } from "./api.ts";
import { type Credentials, CredentialStore } from "./credentials/credential-store.ts";
import { describeIssues } from "./lists/list-items.ts";
import { apiPathOf, isApiUrl, type RepositoryPath } from "./paths.ts";
import type { Repository } from "./schemas.ts";
import { GitHubClock } from "./transport/clock-skew.ts";
import { type ApiAnswer, errorFromAnswer, errorFromSendFailure, readLimit, readRate } from "./transport/failure.ts";
import { isLoopback, type LogHostRule } from "./transport/log-hosts.ts";
import { defaultTimeouts, type Timeouts, Transport } from "./transport/transport.ts";

export type GitHubOptions = {
  /** `https://api.github.com`, `https://HOST/api/v3`, `https://api.NAME.ghe.com`; plain http to a loopback address only. */
  readonly apiUrl: URL;
  readonly credentials: Credentials;
  readonly logHosts: readonly LogHostRule[];
  readonly budget: Budget;
  readonly log: Logger;
  readonly userAgent?: string;
  readonly timeouts?: Partial<Timeouts>;
};

/** 2026-03-10 exists too; this one is what GitHub assumes when none is named. A GHES before 3.9 ignores the header. */
const apiVersion = "2022-11-28";
const defaultUserAgent = "actions-archive";
const unauthorizedPauseMs = 5 * 60_000;
const maxRedirects = 2;
/** Far above a page of 100 jobs with hundreds of steps each, far below what would hurt. */
const maxAnswerBytes = 64 * 1024 * 1024;

/**
 * Opens the client; nothing is sent yet. Dispose it to cut what is in flight.
 * @throws ConfigError when the URL is not one that a credential may be sent to, or the App's key is no key.
 */
export function openGitHub(options: GitHubOptions): GitHub {
  return new GitHub(options);
}

export class GitHub implements ApiClient, AsyncDisposable {
  readonly apiUrl: URL;
  readonly logHosts: readonly LogHostRule[];
  readonly transport: Transport;
  readonly timeouts: Timeouts;
  readonly #budget: Budget;
  readonly #log: Logger;
  readonly #userAgent: string;
  readonly #credentials: CredentialStore;
  /**
   * The last answer for each repository that was asked for: while GitHub says that it still holds, asking again costs nothing.
   * Kept by `repositories.ts`.
   */
  readonly repositoryAnswers = new Map<string, Answer<Repository>>();
  /** Of a GHES, as its last answer named it; undefined for github.com. */
  enterpriseVersion: string | undefined;
  readonly #clock: GitHubClock;

  constructor(options: GitHubOptions) {
    const { apiUrl } = options;
    const isSafe = apiUrl.protocol === "https:" || (apiUrl.protocol === "http:" && isLoopback(apiUrl.hostname));
    if (!isSafe || apiUrl.username !== "" || apiUrl.password !== "" || apiUrl.search !== "") {
      throw new ConfigError("GITHUB_API_URL must be https (http to a loopback address only), without user, password or query");
    }
    this.apiUrl = apiUrl;
    this.logHosts = options.logHosts;
    this.timeouts = { ...defaultTimeouts, ...options.timeouts };
    this.transport = new Transport(apiUrl, options.logHosts, this.timeouts);
    this.#budget = options.budget;
    this.#log = options.log;
    this.#clock = new GitHubClock({ host: apiUrl.host, reference: options.budget.clock, log: options.log });
    this.#userAgent = options.userAgent ?? defaultUserAgent;
    this.#credentials = new CredentialStore(options.credentials, this, () => this.#clock.rawNowMs());
  }

  /** GitHub's time by its last accepted Date, moved on by this machine's clock; before the first one, the database's. */
  now(): Date {
    return this.#clock.now();
  }

  /** The id (never the secret) of the credential that pays for this repository: the key of its budget and of its ETags. */
  async credentialFor(repository: RepositoryPath, signal?: AbortSignal): Promise<string> {
    return (await this.#credentials.find({ repository }, signal)).id;
  }

  /** Which installation sees the repository is asked anew the next time that it is asked for by its id. */
  forgetInstallationOf(repositoryId: number): void {
    this.#credentials.forget(repositoryId);
  }

  /** The credential that sees most of what an owner has. @throws PermanentError when the App is not installed there. */
  async credentialForOwner(owner: string): Promise<Credential> {
    return this.#credentials.find({ owner });
  }

  /** Every credential there is: the token, or one per installation of the App. */
  async listCredentials(): Promise<readonly Credential[]> {
    return this.#credentials.list();
  }

  /** The App itself, for what only it may ask; undefined with a token. */
  get app(): Credential | undefined {
    return this.#credentials.app;
  }

  /**
   * Asks for JSON of a known shape. `data` is GitHub's object as received, unknown keys included.
   * @throws RateLimitedError, PermanentError, TransientError as `failure.ts` maps them.
   */
  async get<S extends z.ZodType>(
    request: ApiRequest & { readonly schema: S },
  ): Promise<Answer<z.output<S>> & { hasNext: boolean }> {
    const answer = await this.getIfChanged(request);
    if ("notModified" in answer)
      throw new TransientError("github/unexpected-answer", `GitHub answered 304 to ${describe(request)}`);
    return answer;
  }

  /** As `get`; with an `etag`, the answer may be that nothing changed. */
  async getIfChanged<S extends z.ZodType>(
    request: ApiRequest & { readonly schema: S },
  ): Promise<(Answer<z.output<S>> & { hasNext: boolean }) | NotModified> {
    const answer = await this.ask(request);
    const { date, skewMs } = answer;
    if (answer.status === 304 && request.etag !== undefined) return { notModified: true, date, skewMs, etag: request.etag };
    if (answer.status !== 200 && answer.status !== 201) throw errorFromAnswer(answer, describe(request));
    const data = parseAs(request.schema, answer, describe(request));
    return { data, date, skewMs, etag: answer.headers.etag, hasNext: hasNextPage(answer.headers["link"]) };
  }

  /**
   * Asks, and returns GitHub's answer whatever its status, but for limits, 401 and 5xx, which are thrown; transient ones after
   * `retries` (2) more tries. A repository that moved is followed inside the API.
   */
  async ask(request: ApiRequest): Promise<ApiAnswer> {
    const { signal, retries, needsDate } = request;
    const ask = () => retry(() => this.#askOnce(request), { signal, ...(retries === undefined ? {} : { retries }) });
    return needsDate ? this.#clock.retryWhileSkewed(ask, signal) : ask();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport[Symbol.asyncDispose]();
  }

  async #askOnce(request: ApiRequest): Promise<ApiAnswer> {
    const credential = await this.#credentials.find(request.subject, request.signal);
    let url = this.#urlOf(request);
    for (let moves = 0; ; moves++) {
      const answer = await this.#sendAs(credential, url, request);
      // 301 for a renamed or transferred repository, to /repositories/ID of the same API; 307 and 308 say the same.
      const location = [301, 307, 308].includes(answer.status) ? answer.headers.location : undefined;
      const target = location === undefined ? null : URL.parse(location, url);
      if (target === null || moves === maxRedirects || !isApiUrl(target, this.apiUrl)) return answer;
      url = target;
    }
  }

  async #sendAs(credential: Credential, url: URL, request: ApiRequest): Promise<ApiAnswer> {
    const authorization = await credential.authorization();
    let answer = await this.#send(credential.id, authorization, url, request);
    if (answer.status === 401 && credential.renew(authorization)) {
      answer = await this.#send(credential.id, await credential.authorization(), url, request);
    }
    if (answer.status >= 500) throw errorFromAnswer(answer, describe(request));
    if (answer.status === 401) return this.refuse(credential.id, errorFromAnswer(answer, describe(request)).message);
    return answer;
  }

  /** Pauses a credential that GitHub refuses altogether, and says so. */
  async refuse(credentialId: string, message: string): Promise<never> {
    await this.#budget.pause(credentialId, { waitMs: unauthorizedPauseMs, reason: message, isGuess: false });
    throw new PermanentError(
      "github/unauthorized",
      `${message} The credential ${credentialId} is refused: replace it or its rights.`,
    );
  }

  async #send(credentialId: string, authorization: string, url: URL, request: ApiRequest): Promise<ApiAnswer> {
    const permit = await this.#budget.acquire(credentialId, request.signal);
    let outcome: RequestOutcome = { isFree: false };
    try {
      const started = performance.now();
      const answer = await this.#exchange(authorization, url, request);
      const durationMs = Math.round(performance.now() - started);
      this.#log.debug(
        { request: describe(request), status: answer.status, credential: credentialId, durationMs },
        "github answered",
      );
      // "A conditional request does not count against your primary rate limit if a 304 response is returned."
      // https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
      outcome = { reading: readRate(answer), isFree: answer.status === 304 };
      const limit = readLimit(answer);
      if (limit === undefined) return answer;
      const until = await this.#budget.pause(credentialId, limit);
      throw new RateLimitedError(
        `GitHub limits the credential ${credentialId} until ${until.toISOString()}: ${limit.reason}`,
        until,
      );
    } finally {
      permit.end(outcome);
    }
  }

  async #exchange(authorization: string, url: URL, request: ApiRequest): Promise<ApiAnswer> {
    const { method = "GET", etag, signal } = request;
    const headers = {
      accept: "application/vnd.github+json",
      authorization,
      "user-agent": this.#userAgent,
      "x-github-api-version": apiVersion,
      ...(etag === undefined ? {} : { "if-none-match": etag }),
    };
    const sentAt = this.#budget.clock.now();
    const { response, text } = await this.#read({ method, url, headers, signal }, describe(request));
    const { statusCode: status, headers: received } = response;
    const version = received["x-github-enterprise-version"];
    if (typeof version === "string") this.enterpriseVersion = version;
    // Something in between may quote what it was sent, and what a refusal says is logged, and kept in the ledger.
    const shown = status < 400 ? text : text.replaceAll(authorization.replace(/^\w+ /, ""), "[redacted]");
    return { status, headers: received, text: shown, ...(await this.#clock.readDate(received["date"], sentAt)) };
  }

  async #read(call: Parameters<Transport["callApi"]>[0], what: string) {
    try {
      const response = await this.transport.callApi(call);
      return { response, text: await readText(response) };
    } catch (error) {
      call.signal?.throwIfAborted();
      throw errorFromSendFailure(error, what, "github/unavailable");
    }
  }

  #urlOf({ path, query = {} }: ApiRequest): URL {
    const url = new URL(apiPathOf(this.apiUrl, path), this.apiUrl);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    return url;
  }
}

/** Method and path: the query may hold search terms, never anything needed to find the request. */
function describe({ method = "GET", path }: ApiRequest): string {
  return `${method} ${path}`;
}

async function readText(response: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body) {
    // undici's body yields Buffers; its type says any.
    chunks.push(chunk as Buffer);
    sizeBytes += (chunk as Buffer).length;
    if (sizeBytes > maxAnswerBytes) throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The body of an answer in a known shape, as received. @throws TransientError when it has another. */
export function parseAs<S extends z.ZodType>(schema: S, answer: ApiAnswer, what: string): z.output<S> {
  let body: unknown;
  try {
    body = JSON.parse(answer.text);
  } catch {
    const type = answer.headers["content-type"] ?? "no content type";
    throw new TransientError(
      "github/unexpected-answer",
      `GitHub answered ${answer.status} to ${what} with ${type}, which is not JSON`,
    );
  }
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    throw new TransientError(
      "github/unexpected-answer",
      `GitHub's answer to ${what} is not of the documented shape: ${describeIssues(parsed.error, body)}`,
    );
  }
  // Our schemas check and never transform, so the object as received, keys in its own order, is of their output type.
  return body as z.output<S>;
}

function hasNextPage(link: string | string[] | undefined): boolean {
  return /;\s*rel="?next"?/.test(String(link ?? ""));
}
