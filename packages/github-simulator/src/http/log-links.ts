// Signed links to logs, in the form of GitHub's blob store: the job in the path, the lifetime in the query, and a signature over both.
// Stateless: a link is verified by its signature.

import { createHmac } from "node:crypto";

import { guidOf } from "../random.ts";

export type LinkCheck =
  | { readonly kind: "valid"; readonly jobId: number }
  | { readonly kind: "expired"; readonly start: string; readonly expiry: string }
  | { readonly kind: "forged" };

export class LogLinks {
  readonly #key: string;
  readonly #lifetimeMs: number;

  constructor(seed: number, lifetimeMs: number) {
    this.#key = `link-${seed}`;
    this.#lifetimeMs = lifetimeMs;
  }

  /** @returns path and query of a link that is valid from five seconds ago, as Azure's are, until `nowMs` plus the lifetime. */
  issue(jobId: number, nowMs: number): string {
    const hex = jobId.toString(16).padStart(12, "0");
    const path = `/actions-results/${guidOf(this.#key, jobId)}/workflow-job-run-${guidOf(this.#key).slice(0, 23)}-${hex}/logs/job/job-logs.txt`;
    const st = new Date(nowMs - 5_000).toISOString().replace(/\.\d+Z$/, "Z");
    const se = new Date(nowMs + this.#lifetimeMs).toISOString();
    const query = new URLSearchParams({
      rsct: "text/plain",
      se,
      sig: this.#sign(path, se),
      sp: "r",
      spr: "https",
      sr: "b",
      st,
      sv: "2025-11-05",
    });
    return `${path}?${query.toString()}`;
  }

  check(path: string, query: URLSearchParams, nowMs: number): LinkCheck {
    const expiry = query.get("se") ?? "";
    const start = query.get("st") ?? "";
    const hex = /-([0-9a-f]{12})\/logs\/job\/job-logs\.txt$/.exec(path)?.[1];
    if (hex === undefined || query.get("sig") !== this.#sign(path, expiry)) return { kind: "forged" };
    if (Date.parse(expiry) <= nowMs) return { kind: "expired", start, expiry };
    return { kind: "valid", jobId: Number.parseInt(hex, 16) };
  }

  #sign(path: string, expiry: string): string {
    return createHmac("sha256", this.#key).update(`${path}\n${expiry}`).digest("base64");
  }
}
