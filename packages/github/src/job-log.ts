// A job's log: the link of about one minute that the API hands out, followed at once by a request that carries nothing of ours.
// The link is a secret: it stays in this file's variables and never enters an error, a log line or a return value.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import type { Dispatcher } from "undici";

import { failureOf, failureOfSend } from "./failure.ts";
import type { GitHub } from "./github.ts";
import { readLogBody } from "./log-body.ts";
import { isAllowed } from "./log-hosts.ts";
import { idOf, repositoryPath, type RepositoryPath } from "./paths.ts";

/** `date` is always GitHub's API's, never the log host's. */
export type JobLogAnswer =
  | {
      readonly kind: "log";
      readonly date: Date;
      /** From Content-Length; undefined for a chunked body. */
      readonly declaredBytes: number | undefined;
      /** The log host's, for If-Match. */
      readonly etag: string | undefined;
      /** To be read once. Throws TransientError `log/incomplete` when it is cut, short, long or stalled. */
      readonly body: AsyncIterable<Buffer>;
      /** Lets go of the connection when `body` is not read after all. */
      readonly discard: () => void;
    }
  /** Not there yet, or not any more: the caller knows the job's age. */
  | { readonly kind: "not-found"; readonly from: "api" | "blob"; readonly date: Date }
  | { readonly kind: "gone"; readonly date: Date };

export type JobLogRequest = {
  readonly repository: RepositoryPath;
  readonly jobId: number;
  readonly signal?: AbortSignal | undefined;
};

/** What the API points to, and one redirect from there. */
const mostHops = 2;
/** An error's explanation is short; nothing else is read of it. */
const longestExplanationBytes = 64 * 1024;

/**
 * Asks for a job's log and follows the answer. Costs one request of the limit; the download costs none. Safe to repeat.
 * https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run
 * @throws RateLimitedError; PermanentError `github/forbidden`, `github/unauthorized`, `log/redirect-refused`;
 * TransientError `github/unavailable`, `github/unexpected-answer`, `log/upstream-error` (ask again: the link was too old, or the log
 * host failed), `log/incomplete` (a body that cannot be told from a cut one); the signal's reason.
 */
export async function requestJobLog(github: GitHub, { repository, jobId, signal }: JobLogRequest): Promise<JobLogAnswer> {
  const path = `${repositoryPath(repository)}/actions/jobs/${idOf(jobId)}/logs`;
  const what = `GET ${path}`;
  const answer = await github.ask({ path, subject: { repository }, signal });
  const { date, status } = answer;

  if (status >= 300 && status < 400) {
    const location = answer.headers.location;
    const link = location === undefined ? null : URL.parse(location, github.apiUrl);
    if (link === null)
      throw new TransientError("github/unexpected-answer", `GitHub answered ${status} to ${what} without a link`);
    return follow(github, { link, what: `The log of job ${jobId} of ${repository}`, date, signal });
  }
  const failure = failureOf(answer, what);
  if (failure.code === "github/not-found") return { kind: "not-found", from: "api", date };
  if (failure.code === "github/gone") return { kind: "gone", date };
  throw failure;
}

type Download = { readonly link: URL; readonly what: string; readonly date: Date; readonly signal: AbortSignal | undefined };

async function follow(github: GitHub, { link, what, date, signal }: Download): Promise<JobLogAnswer> {
  let url = link;
  for (let hop = 1; ; hop++) {
    if (!isAllowed(url, github.logHosts))
      throw refused(what, `${url.protocol}//${url.host}, which GITHUB_LOG_HOSTS does not allow`);
    const response = await download(github, url, what, signal);
    const { statusCode, headers } = response;
    if (statusCode === 200) return accept(github, response, { what, date, signal });

    const location = headers["location"];
    if (statusCode >= 300 && statusCode < 400 && typeof location === "string") {
      response.body.destroy();
      if (hop === mostHops) throw refused(what, `more than ${mostHops} hosts`);
      const next = URL.parse(location, url);
      if (next === null) throw new TransientError("log/upstream-error", `${what}: the log host's redirect is no URL`);
      url = next;
      continue;
    }
    if (statusCode === 404 && (await isMissing(response))) return { kind: "not-found", from: "blob", date };
    response.body.destroy();
    throw new TransientError("log/upstream-error", `${what}: ${url.host} answered ${statusCode}. A fresh link is asked for.`);
  }
}

async function download(
  github: GitHub,
  url: URL,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Dispatcher.ResponseData> {
  try {
    return await github.transport.downloadLog(url, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw failureOfSend(error, what, "log/upstream-error");
  }
}

function accept(
  github: GitHub,
  response: Dispatcher.ResponseData,
  { what, date, signal }: Omit<Download, "link">,
): Extract<JobLogAnswer, { kind: "log" }> {
  const { headers, body } = response;
  const discard = () => void body.destroy();
  const length = headers["content-length"];
  const isChunked = /\bchunked\b/i.test(String(headers["transfer-encoding"] ?? ""));
  const encoding = headers["content-encoding"] ?? "identity";
  const type = String(headers["content-type"] ?? "");

  const problem =
    length === undefined && !isChunked
      ? new TransientError("log/incomplete", `${what} came without a length: a cut one could not be told from a whole one`)
      : encoding !== "identity"
        ? new TransientError("log/upstream-error", `${what} came encoded as ${String(encoding)}, which was not asked for`)
        : /^(?:text\/html|application\/xhtml|(?:text|application)\/xml)/i.test(type)
          ? new TransientError("log/upstream-error", `${what} came as ${type.slice(0, 40)}: a page, not a log`)
          : undefined;
  if (problem !== undefined) {
    discard();
    throw problem;
  }
  const declaredBytes = length === undefined ? undefined : Number(length);
  const stallMs = github.timeouts.stallMs;
  const etag = typeof headers["etag"] === "string" ? headers["etag"] : undefined;
  return { kind: "log", date, declaredBytes, etag, body: readLogBody(body, { declaredBytes, stallMs, what, signal }), discard };
}

/** Whether the store itself says that there is no such object; any other 404 may be a proxy's. */
async function isMissing(response: Dispatcher.ResponseData): Promise<boolean> {
  const header = response.headers["x-ms-error-code"];
  const codes = /^(?:BlobNotFound|NoSuchKey)$/;
  if (typeof header === "string" && codes.test(header)) {
    response.body.destroy();
    return true;
  }
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body) {
      // undici's body yields Buffers; its type says any.
      chunks.push(chunk as Buffer);
      sizeBytes += (chunk as Buffer).length;
      if (sizeBytes > longestExplanationBytes) break;
    }
  } catch {
    return false;
  }
  const code = /<Code>(\w+)<\/Code>/.exec(Buffer.concat(chunks).toString("utf8"))?.[1];
  return code !== undefined && codes.test(code);
}

function refused(what: string, where: string): PermanentError {
  return new PermanentError(
    "log/redirect-refused",
    `${what} is said to be at ${where}. If that is yours, add it to GITHUB_LOG_HOSTS.`,
  );
}
