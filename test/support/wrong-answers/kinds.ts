// The kinds of wrong answers, by route. Each has a name by which a scenario can be reproduced.

import { hourSeconds } from "@actions-archive/core/durations";
import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { oddJobFields, oddRunFields } from "@actions-archive/github-simulator/http/lies";

import type { Route } from "./calls.ts";

export type Lie = NonNullable<FaultInput["lie"]>;
export type Kind = {
  readonly name: string;
  readonly lie: Lie;
  /** With fewer items the answer would not be wrong. */
  readonly minItems?: number;
};

const errors = ([404, 410, 403, 500, 502] as const).map((status): Kind => ({
  name: `error ${status}`,
  lie: { kind: "error", status },
}));

const dates = [hourSeconds, -hourSeconds].map((seconds): Kind => ({
  name: `wrong-date ${seconds > 0 ? "+" : "-"}1h`,
  lie: { kind: "wrong-date", seconds },
}));

const documents = (["json", "html", "xml", "empty"] as const).map((format): Kind => ({
  name: `document ${format}`,
  lie: { kind: "document", format },
}));

const logDocuments = (["json", "html", "xml"] as const).flatMap((format) =>
  ["text/plain", "application/octet-stream"].map((contentType): Kind => ({
    name: `document ${format} as ${contentType}`,
    lie: { kind: "document", format, contentType },
  })),
);

const counts = ["kept", "shown"] as const;
const lists: readonly Kind[] = [
  ...counts.flatMap((totalCount): Kind[] => [
    { name: `empty-list ${totalCount}`, lie: { kind: "empty-list", totalCount }, minItems: 2 },
    { name: `short-list ${totalCount}`, lie: { kind: "short-list", removeLast: 1, totalCount }, minItems: 1 },
    { name: `short-list to 1 ${totalCount}`, lie: { kind: "short-list", keepFirst: 1, totalCount }, minItems: 3 },
    { name: `shifted-list ${totalCount}`, lie: { kind: "shifted-list", totalCount }, minItems: 2 },
    {
      name: `duplicate-item in place of the last ${totalCount}`,
      lie: { kind: "duplicate-item", inPlaceOf: -1, totalCount },
      minItems: 2,
    },
  ]),
  { name: "duplicate-item added", lie: { kind: "duplicate-item", totalCount: "kept" }, minItems: 1 },
  { name: "total-count +1", lie: { kind: "total-count", by: 1 } },
  { name: "total-count -1", lie: { kind: "total-count", by: -1 }, minItems: 1 },
  { name: "total-count 0", lie: { kind: "total-count", value: 0 }, minItems: 1 },
];

/** For lists with a second page only. */
const pagedLists: readonly Kind[] = [
  { name: "no-link", lie: { kind: "no-link" } },
  ...counts.map((totalCount): Kind => ({
    name: `short-list ${totalCount}, next page kept`,
    lie: { kind: "short-list", removeLast: 1, keepNext: true, totalCount },
  })),
];

const asOf = [hourSeconds, 4 * 24 * hourSeconds].map((secondsAgo): Kind => ({
  name: `as-of ${secondsAgo / hourSeconds}h ago`,
  lie: { kind: "as-of", secondsAgo },
}));

/** Answers that repeat an earlier one. Only lasting faults can give them. */
const stale: readonly Kind[] = [
  { name: "stale-page first", lie: { kind: "stale-page", answer: "first" } },
  { name: "not-modified", lie: { kind: "not-modified" } },
];

type Patch = Extract<Lie, { kind: "odd-object" }>["patch"];

function odd(patches: Readonly<Record<string, Patch>>, index = 0): Kind[] {
  return Object.entries(patches).map(([name, patch]) => ({
    name: `odd-object ${name}`,
    lie: { kind: "odd-object", index, patch },
    minItems: 1,
  }));
}

const runPatches = {
  ...oddRunFields,
  "of another repository": { repository: { id: 1 } },
  "in progress": { status: "in_progress", conclusion: null },
};
const oddJobs = [
  ...odd(oddJobFields),
  ...odd({
    "in progress": { status: "in_progress", conclusion: null, completed_at: null },
    skipped: { conclusion: "skipped" },
    "runner_id 0 without steps": { runner_id: 0, runner_name: null, steps: [] },
    "completed in 2020": { completed_at: "2020-01-01T00:00:00Z" },
  }),
];
const oddRepositories = odd({
  "id of another": { id: 1 },
  "id null": { id: null },
  "full_name of another": { full_name: "octo-org/other" },
  "full_name null": { full_name: null },
});
const oddRetentions = odd({
  "1 day": { days: 1 },
  "0 days": { days: 0 },
  "days null": { days: null },
  "1000 days": { days: 1_000 },
});

const api = [...errors, ...documents, ...dates];

const byRoute: Readonly<Record<Route, readonly Kind[]>> = {
  repository: [...api, ...oddRepositories],
  retention: [...api, ...oddRetentions],
  // In lists of a completed run, the third newest. The newest is in progress.
  "run list": [...api, ...lists, ...asOf, ...odd(runPatches, 2)],
  run: [...api, ...asOf, ...odd(runPatches)],
  attempt: [...api, ...asOf, ...odd(runPatches)],
  "job list": [...api, ...lists, ...asOf, ...oddJobs],
  job: [...api, ...asOf, ...oddJobs],
  "log link": api,
  "log body": [
    ...errors,
    ...logDocuments,
    { name: "empty body", lie: { kind: "document", format: "empty", contentType: "text/plain" } },
    ...dates,
  ],
};

export type Fit = {
  /** Whether the list has a second page. */
  readonly isPaged: boolean;
  /** Whether every request gets the wrong answer. */
  readonly isLasting: boolean;
  readonly items?: number | undefined;
};

/** @returns the kinds that fit a route. */
export function kindsOf(route: Route, { isPaged, isLasting, items = Infinity }: Fit): readonly Kind[] {
  const isOfTime = route !== "log link" && route !== "log body" && route !== "retention";
  return [
    ...byRoute[route].filter(({ minItems = 0 }) => items >= minItems),
    ...(isPaged && route === "run list" ? pagedLists : []),
    ...(isLasting && isOfTime ? stale : []),
  ];
}
