// Lies that need no route: errors in the words of GitHub's API or log host, an error document with status 200, a wrong Date.

import { type Answer, answerOf } from "./answer.ts";
import { type CannedLie, isCanned, type Lie } from "./lies.ts";

type Headers = Readonly<Record<string, string>>;

const docs = "https://docs.github.com/rest";
const logsPage = `${docs}/actions/workflow-jobs#download-job-logs-for-a-workflow-run`;

// 410: rust-lang/triagebot#2241. 502: con/tinuous#129. 403: the answer to an App without Actions: read.
const apiErrors = {
  403: { message: "Resource not accessible by integration", page: docs },
  404: { message: "Not Found", page: docs },
  410: { message: "Server Error", page: logsPage },
  500: { message: "Server Error", page: docs },
  502: { message: "Server Error", page: docs },
  503: { message: "Service Unavailable", page: docs },
} as const;

// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
const logErrors = {
  403: { code: "AuthenticationFailed", message: "Server failed to authenticate the request." },
  404: { code: "BlobNotFound", message: "The specified blob does not exist." },
  410: { code: "ResourceNotFound", message: "The specified resource does not exist." },
  500: { code: "InternalError", message: "The server encountered an internal error. Please retry the request." },
  502: { code: "InternalError", message: "The server encountered an internal error. Please retry the request." },
  503: { code: "ServerBusy", message: "The server is currently unable to receive requests. Please retry your request." },
} as const;

const jsonType = "application/json; charset=utf-8";

const documents = {
  json: { type: jsonType, text: apiError(500, "Server Error", docs) },
  html: {
    type: "text/html; charset=utf-8",
    text: "<!DOCTYPE html><html><head><title>Unicorn! &middot; GitHub</title></head><body><p><strong>We had issues producing the response to your request.</strong></p></body></html>",
  },
  xml: { type: "application/xml", text: logError(logErrors[503].code, logErrors[503].message) },
  empty: { type: jsonType, text: "" },
} as const;

/** @param headers those of every answer of the host */
export function cannedAnswer(lie: CannedLie, host: "api" | "log", headers: Headers = {}): Answer {
  if (lie.kind === "document") {
    const { type, text } = documents[lie.format];
    return answerOf(lie.status, { ...headers, "content-type": lie.contentType ?? type }, lie.text ?? text);
  }
  if (host === "api") {
    const { message, page } = apiErrors[lie.status];
    return answerOf(lie.status, { ...headers, "content-type": jsonType }, apiError(lie.status, lie.message ?? message, page));
  }
  const { code, message } = logErrors[lie.status];
  const type = { "content-type": "application/xml", "x-ms-error-code": code };
  return answerOf(lie.status, { ...headers, ...type }, logError(code, lie.message ?? message));
}

function apiError(status: number, message: string, page: string): string {
  return JSON.stringify({ message, documentation_url: page, status: String(status) });
}

function logError(code: string, message: string): string {
  return `\uFEFF<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
}

/** @throws RangeError for a lie of the API, which never matches a request to the log host. */
export function spoilLogAnswer(answer: Answer, lie: Lie): Answer {
  if (lie.kind === "wrong-date") return withDateOffset(answer, lie.seconds);
  if (!isCanned(lie)) throw new RangeError(`the lie ${lie.kind} applies to answers of the API alone`);
  const kept = ["server", "date", "x-ms-request-id", "x-ms-version"].map((name) => [name, answer.headers[name] ?? ""]);
  return cannedAnswer(lie, "log", Object.fromEntries(kept));
}

/** @returns the answer with a Date header `seconds` ahead of the simulator's clock. */
export function withDateOffset(answer: Answer, seconds: number): Answer {
  const date = new Date(Date.parse(answer.headers["date"] ?? "") + seconds * 1000).toUTCString();
  return { ...answer, headers: { ...answer.headers, date } };
}
