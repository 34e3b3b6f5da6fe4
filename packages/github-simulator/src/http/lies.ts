// Lies: well-formed wrong answers of a route, as a fault scripts them. GitHub answers 404 for repositories that exist, and
// 200 with empty or incomplete lists, during incidents (veertuinc/anklet#58, dawidd6/action-download-artifact#56).

import { z } from "zod";

const totalCount = z
  .union([z.enum(["kept", "shown"]), z.int().nonnegative()])
  .default("shown")
  .describe("kept: the true count; shown: the count that agrees with the changed list; or this number");
const index = z.int().describe("from 0; negative counts from the end");

const EmptyList = z.strictObject({ kind: z.literal("empty-list"), totalCount }).describe("no items, no next page");

const ShortList = z
  .strictObject({
    kind: z.literal("short-list"),
    removeLast: z.int().positive().optional(),
    keepFirst: z.int().nonnegative().optional(),
    keepNext: z.boolean().default(false).describe("whether the Link header keeps its next page"),
    totalCount,
  })
  .refine(({ removeLast, keepFirst }) => (removeLast === undefined) !== (keepFirst === undefined), {
    error: "give removeLast or keepFirst",
  })
  .describe("the last items of the page are missing");

const ShiftedList = z
  .strictObject({ kind: z.literal("shifted-list"), by: z.int().positive().default(1), totalCount })
  .describe("the page of a list that lacks its first items; other pages shift only if the fault hits them too");

const DuplicateItem = z
  .strictObject({
    kind: z.literal("duplicate-item"),
    item: index.default(0),
    inPlaceOf: index.optional().describe("the item that the duplicate replaces; without it the duplicate is added at the end"),
    totalCount,
  })
  .describe("one item appears twice on the page");

const NoLink = z.strictObject({ kind: z.literal("no-link") }).describe("no Link header");

const TotalCount = z
  .strictObject({
    kind: z.literal("total-count"),
    value: z.int().nonnegative().optional(),
    by: z.int().optional().describe("added to the true count"),
  })
  .refine(({ value, by }) => (value === undefined) !== (by === undefined), { error: "give value or by" })
  .describe("total_count is another number, the items are true");

const OddObject = z
  .strictObject({
    kind: z.literal("odd-object"),
    index: index.default(0).describe("the item of a list; of no meaning for a single object"),
    patch: z
      .json()
      .default({})
      .describe("merged into the object at every depth; null sets null. Anything but an object replaces the item"),
    remove: z.array(z.string()).default([]).describe("fields that are left out"),
  })
  .describe("one object of the answer is changed");

const StalePage = z
  .strictObject({ kind: z.literal("stale-page"), answer: z.enum(["first", "previous"]).default("previous") })
  .describe(
    "an answer that the same URL and credential had before: the first since the fault was added, or the last that differs from the true one",
  );

const AsOf = z
  .strictObject({ kind: z.literal("as-of"), secondsAgo: z.number().positive() })
  .describe("the answer of an earlier moment, whether it was requested then or not; deletions and renames stay");

const NotModified = z
  .strictObject({ kind: z.literal("not-modified") })
  .describe("304 to a request with If-None-Match although the answer has changed");

const WrongDate = z
  .strictObject({
    kind: z.literal("wrong-date"),
    seconds: z.number().refine((seconds) => seconds !== 0, { error: "give an offset other than 0" }),
  })
  .describe("the Date header is ahead, or behind when negative");

const ErrorAnswer = z
  .strictObject({
    kind: z.literal("error"),
    status: z.literal([403, 404, 410, 500, 502, 503]),
    message: z.string().optional().describe("instead of the message that GitHub documents for the status"),
  })
  .describe("an error with the JSON of GitHub's API or the XML of the log host; a 403 is a missing permission, no limit");

const ErrorDocument = z
  .strictObject({
    kind: z.literal("document"),
    format: z.enum(["json", "html", "xml", "empty"]).default("json"),
    text: z.string().optional().describe("instead of the format's error document"),
    contentType: z.string().optional().describe("instead of the format's own"),
    status: z.int().min(200).max(599).default(200),
  })
  .describe("an error document with status 200");

export const ListLie = z.discriminatedUnion("kind", [
  EmptyList,
  ShortList,
  ShiftedList,
  DuplicateItem,
  NoLink,
  TotalCount,
  OddObject,
]);
export type ListLie = z.output<typeof ListLie>;

export const Lie = z.discriminatedUnion("kind", [
  EmptyList,
  ShortList,
  ShiftedList,
  DuplicateItem,
  NoLink,
  TotalCount,
  OddObject,
  StalePage,
  AsOf,
  NotModified,
  WrongDate,
  ErrorAnswer,
  ErrorDocument,
]);
export type Lie = z.output<typeof Lie>;
export type CannedLie = Extract<Lie, { kind: "error" | "document" }>;

/** @returns whether the lie applies to the log host too; the others change JSON of the API. */
export function appliesToLogs(lie: Lie): boolean {
  return isCanned(lie) || lie.kind === "wrong-date";
}

/** @returns whether the lie needs no true answer. */
export function isCanned(lie: Lie): lie is CannedLie {
  return lie.kind === "error" || lie.kind === "document";
}

/** Patches for `odd-object`: values of a run that GitHub's description excludes. */
export const oddRunFields = {
  "attempt above 1000": { run_attempt: 1_001 },
  "attempt zero": { run_attempt: 0 },
  "attempt as text": { run_attempt: "2" },
  "created_at in another form": { created_at: "2026/11/30 10:00" },
  "created_at as number": { created_at: 1_796_032_800 },
  "created_at null": { created_at: null },
  "updated_at null": { updated_at: null },
  "status null": { status: null },
  "event null": { event: null },
  "id null": { id: null },
  "id as text": { id: "26365060973" },
  "repository null": { repository: null },
} as const;

/** Patches for `odd-object`: values of a job that GitHub's description excludes. */
export const oddJobFields = {
  "attempt above 1000": { run_attempt: 1_001 },
  "attempt zero": { run_attempt: 0 },
  "attempt as text": { run_attempt: "2" },
  "created_at in another form": { created_at: "2026/11/30 10:00" },
  "created_at as number": { created_at: 1_796_032_800 },
  "created_at null": { created_at: null },
  "completed_at as number": { completed_at: 1_796_032_800 },
  "status null": { status: null },
  "name null": { name: null },
  "id null": { id: null },
  "id as text": { id: "61901817921" },
  "run_id null": { run_id: null },
  "steps null": { steps: null },
  "labels null": { labels: null },
} as const;
