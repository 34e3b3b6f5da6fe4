// Follows a log's link to the host that has it, with a request that carries nothing of ours, and says what came of it. The link
// is a secret: it stays in this file's variables and never enters an error, a log line or a return value.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import type { Dispatcher } from "undici";

import type { GitHub } from "../github.ts";
import { errorFromSendFailure } from "../transport/failure.ts";
import { isAllowed } from "../transport/log-hosts.ts";
import type { RestOfLog } from "../transport/transport.ts";

export type LogLink = {
  readonly link: URL;
  /** Names the log in errors. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
};

/** What the API points to, and one redirect from there. */
const maxHops = 2;
/** An error's explanation is short; nothing else is read of it. */
const maxExplanationBytes = 64 * 1024;

/**
 * Follows the link, over two hosts at most, to the log (status 200), or to the `rest` of it (206).
 * @returns undefined when the log host itself says that there is no such log.
 * @throws PermanentError `log/redirect-refused`; TransientError `log/upstream-error`; the signal's reason.
 */
export async function openDownload(
  github: GitHub,
  { link, what, signal }: LogLink,
  rest?: RestOfLog,
): Promise<Dispatcher.ResponseData | undefined> {
  let url = link;
  for (let hop = 1; ; hop++) {
    if (!isAllowed(url, github.logHosts))
      throw refused(what, `${url.protocol}//${url.host}, which GITHUB_LOG_HOSTS does not allow`);
    const response = await send(github, url, { what, signal, rest });
    const { statusCode, headers } = response;
    if (statusCode === (rest === undefined ? 200 : 206)) return response;

    const location = headers["location"];
    if (statusCode >= 300 && statusCode < 400 && typeof location === "string") {
      response.body.destroy();
      if (hop === maxHops) throw refused(what, `more than ${maxHops} hosts`);
      const next = URL.parse(location, url);
      if (next === null) throw new TransientError("log/upstream-error", `${what}: the log host's redirect is no URL`);
      url = next;
      continue;
    }
    if (statusCode === 404 && (await isMissing(response))) return undefined;
    response.body.destroy();
    throw new TransientError("log/upstream-error", `${what}: ${url.host} answered ${statusCode}. A fresh link is asked for.`);
  }
}

async function send(
  github: GitHub,
  url: URL,
  { what, signal, rest }: Omit<LogLink, "link"> & { readonly rest: RestOfLog | undefined },
): Promise<Dispatcher.ResponseData> {
  try {
    return await github.transport.downloadLog(url, { signal, rest });
  } catch (error) {
    signal?.throwIfAborted();
    throw errorFromSendFailure(error, what, "log/upstream-error");
  }
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
      if (sizeBytes > maxExplanationBytes) break;
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
