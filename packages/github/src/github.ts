// The GitHub client: selects the credential, acquires budget, sends the request, and reads limits and errors from the response. All
// requests to GitHub go through it; the files of the endpoints define them.

import type { Budget, RequestOutcome } from "@actions-archive/core/budget";
import { ConfigError, PermanentError, RateLimitedError, TransientError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import type { Metrics } from "@actions-archive/core/metrics";
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
  readonly metrics?: Metrics | undefined;
  readonly userAgent?: string;
  readonly timeouts?: Partial<Timeouts>;
};

/** GitHub's default version; 2026-03-10 exists, too. A GHES before 3.9 ignores the header. */
const apiVersion = "2022-11-28";
const defaultUserAgent = "actions-archive";
const unauthorizedPauseMs = 5 * 60_000;
const maxRedirects = 2;
/** Far more than a page of 100 jobs with hundreds of steps each needs. The limit bounds the memory. */
const maxAnswerBytes = 64 * 1024 * 1024;

/**
 * Opens the client without sending a request. Disposing it aborts running requests.
 * @throws ConfigError when the URL may not receive a credential, or the App's key is invalid.
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
  readonly #metrics: Metrics | undefined;
  readonly #userAgent: string;
  readonly #credentials: CredentialStore;
  /**
   * The last answer for each requested repository, by path: while its ETag matches, another request costs nothing. Managed by
   * `repositories.ts`.
   */
  readonly repositoryAnswers = new Map<string, Answer<Repository>>();
  /** The version of a GHES from its last response; undefined for github.com. */
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
    this.#metrics = options.metrics;
    this.#clock = new GitHubClock({ host: apiUrl.host, reference: options.budget.clock, log: options.log });
    this.#userAgent = options.userAgent ?? defaultUserAgent;
    this.#credentials = new CredentialStore(options.credentials, this, () => this.#clock.rawNowMs());
  }

  /** GitHub's time by its last accepted Date, advanced by this machine's clock; the database's before the first one. */
  now(): Date {
    return this.#clock.now();
  }

  /** The id (never the secret) of this repository's credential, the key of its budget and its ETags. */
  async credentialFor(repository: RepositoryPath, signal?: AbortSignal): Promise<string> {
    return (await this.#credentials.find({ repository }, signal)).id;
  }

  /** Drops the cached installation of the repository, so that the next request by id searches for it. */
  forgetInstallationOf(repositoryId: number): void {
    this.#credentials.forget(repositoryId);
  }

  /** The credential with the most access to an owner's repositories. @throws PermanentError when the App is not installed there. */
  async credentialForOwner(owner: string): Promise<Credential> {
    return this.#credentials.find({ owner });
  }

  /** All credentials: the token, or one for each installation of the App. */
  async listCredentials(): Promise<readonly Credential[]> {
    return this.#credentials.list();
  }

  /** The App itself, for the endpoints that only it may use; undefined with a token. */
  get app(): Credential | undefined {
    return this.#credentials.app;
  }

  /**
   * Requests JSON and checks its shape. `data` is GitHub's object as received, including unknown keys.
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

  /** Like `get`; with an `etag`, the result may be `NotModified`. */
  async getIfChanged<S extends z.ZodType>(
    request: ApiRequest & { readonly schema: S },
  ): Promise<(Answer<z.output<S>> & { hasNext: boolean }) | NotModified> {
    const answer = await this.send(request);
    const { date, skewMs } = answer;
    if (answer.status === 304 && request.etag !== undefined) return { notModified: true, date, skewMs, etag: request.etag };
    if (answer.status !== 200 && answer.status !== 201) throw errorFromAnswer(answer, describe(request));
    const data = parseAs(request.schema, answer, describe(request));
    return { data, date, skewMs, etag: answer.headers.etag, hasNext: hasNextPage(answer.headers["link"]) };
  }

  /**
   * Sends a request and returns GitHub's response with any status except limits, 401 and 5xx, which are thrown, transient errors after
   * `retries` (default 2) retries. Follows the redirect of a moved repository within the API.
   */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    const { signal, retries, needsDate } = request;
    const send = () => retry(() => this.#sendAndFollow(request), { signal, ...(retries === undefined ? {} : { retries }) });
    return needsDate ? this.#clock.retryWhileSkewed(send, signal) : send();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport[Symbol.asyncDispose]();
  }

  async #sendAndFollow(request: ApiRequest): Promise<ApiAnswer> {
    const credential = await this.#credentials.find(request.subject, request.signal);
    let url = this.#urlOf(request);
    for (let moves = 0; ; moves++) {
      const answer = await this.#sendAs(credential, url, request);
      // 301 for a renamed or transferred repository, to /repositories/ID of the same API; 307 and 308 mean the same.
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

  /** Pauses a credential that GitHub refuses. @throws PermanentError `github/unauthorized` always. */
  async refuse(credentialId: string, message: string): Promise<never> {
    await this.#budget.pause(credentialId, { waitMs: unauthorizedPauseMs, reason: message, isGuess: false });
    throw new PermanentError(
      "github/unauthorized",
      `${message} GitHub refuses the credential ${credentialId}: replace it or change its permissions.`,
    );
  }

  async #send(credentialId: string, authorization: string, url: URL, request: ApiRequest): Promise<ApiAnswer> {
    const permit = await this.#budget.acquire(credentialId, request.signal);
    let outcome: RequestOutcome = { isFree: false };
    let requestClass = "error";
    try {
      const started = performance.now();
      const answer = await this.#exchange(authorization, url, request);
      requestClass = classOfAnswer(answer);
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
      this.#metrics?.githubRequests.inc({ class: requestClass });
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
    // A proxy may quote the request, and the text of an error is logged and stored in the ledger.
    const redacted = status < 400 ? text : text.replaceAll(authorization.replace(/^\w+ /, ""), "[redacted]");
    return { status, headers: received, text: redacted, ...(await this.#clock.readDate(received["date"], sentAt)) };
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

/** The status where operators react to it, else its hundred: a closed set. */
function classOfAnswer(answer: ApiAnswer): string {
  if (readLimit(answer) !== undefined) return "limited";
  const { status } = answer;
  return [304, 401, 403, 404, 410].includes(status) ? String(status) : `${Math.floor(status / 100)}xx`;
}

/** Method and path, without the query, which is not needed to identify the request. */
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

/** Parses the body of a response and checks its shape. Returns it as received. @throws TransientError when it has another shape. */
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
      `GitHub's answer to ${what} does not have the documented shape: ${describeIssues(parsed.error, body)}`,
    );
  }
  // The schemas validate without transforming, so the object as received, with its order of keys, has their output type.
  return body as z.output<S>;
}

function hasNextPage(link: string | string[] | undefined): boolean {
  return /;\s*rel="?next"?/.test(String(link ?? ""));
}
