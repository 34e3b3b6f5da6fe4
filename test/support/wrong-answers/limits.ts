// What no second answer can contradict: wrong answers that are documented to stay, each with the reason. A scenario that is named here
// may end otherwise than healed; the judge says of each how it ended.

import type { Route } from "./calls.ts";

export type Limit = {
  readonly route: Route;
  /** Of the kind's name. */
  readonly kind: RegExp;
  readonly reason: string;
};

export const limits: readonly Limit[] = [
  {
    route: "job list",
    kind: /^(?:short-list|short-list to 1|empty-list|shifted-list|duplicate-item in place of the last) shown$/,
    reason:
      "the list of a completed attempt is read once, RUN_SETTLE_SECONDS after its end: one whose total_count agrees with what it shows has nothing that contradicts it",
  },
  {
    route: "job list",
    kind: /^odd-object skipped$/,
    reason: "a skipped job has no log by GitHub's own word, and is not asked for one",
  },
  {
    route: "retention",
    kind: /^odd-object 1 day$/,
    reason: "the endpoint is the only source of the retention: whether a log that is not there was deleted or expired follows from it",
  },
];

/** The limit that the scenario meets; undefined where it must heal. */
export function findLimit(route: Route, kindName: string): Limit | undefined {
  return limits.find((limit) => limit.route === route && limit.kind.test(kindName));
}
