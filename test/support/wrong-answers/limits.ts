// Documented limits: wrong answers that no later answer contradicts, each with the reason. A scenario of this list may end without
// healing; the test reports how each ended.

import type { Route } from "./calls.ts";

export type Limit = {
  readonly route: Route;
  /** Matches the kind's name. */
  readonly kind: RegExp;
  /** The limit applies only while every answer is wrong; afterwards everything heals. */
  readonly heals: boolean;
  /** The findings that remain although the rest heals. */
  readonly remains?: RegExp;
  readonly reason: string;
};

export const limits: readonly Limit[] = [
  {
    route: "run list",
    kind: /^(?:short-list|short-list to 1|empty-list|shifted-list) shown(?:, next page kept)?$|^as-of/,
    heals: true,
    reason:
      "while every list of a repository's runs is short, and counts no more than it shows, nothing contradicts it; the next scan finds what it hid",
  },
  ...(["log link", "log body"] as const).map((route): Limit => ({
    route,
    kind: /^(?:error 404|empty body)$/,
    heals: true,
    remains: /absent deleted, not absent expired|"reason":"expired"\}, found \{"state":"absent","reason":"deleted"/,
    reason:
      "a 404 or an empty body that is repeated after LOG_SETTLE_SECONDS, of a job and a repository that can be read, is a deleted or empty log until it is requested again, an hour and a day later; one that has expired by then stays deleted",
  })),
  {
    route: "job list",
    kind: /^(?:short-list|short-list to 1|shifted-list) shown$/,
    heals: true,
    reason:
      "while every list of an attempt's jobs is short, and counts no more than it shows, nothing contradicts it; the list of the next day finds what it hid",
  },
  {
    route: "retention",
    kind: /^odd-object 1 day$/,
    heals: true,
    reason:
      "while the endpoint says so, a log that is not there has expired by it; once it says more, the log is requested again and is deleted",
  },
];

/** @returns the limit of the scenario; undefined where it must heal. A single wrong answer is contradicted by the next one, where `heals`. */
export function findLimit(route: Route, kindName: string, { isLasting }: { readonly isLasting: boolean }): Limit | undefined {
  return limits.find((limit) => limit.route === route && limit.kind.test(kindName) && (isLasting || !limit.heals));
}
