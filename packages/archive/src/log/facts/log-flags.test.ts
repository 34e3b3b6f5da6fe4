import { expect, test } from "vitest";

import { flagsOf, lacksEnd } from "./log-flags.ts";

const completedAt = new Date("2026-05-01T10:00:00Z");
const log = (lastTime: string | undefined, hasEndMarker: boolean) => ({
  tail: { hasEndMarker },
  ...(lastTime === undefined ? {} : { firstTime: lastTime, lastTime }),
});

test.each([
  ["2026-05-01T09:59:59.1234567Z", false, false],
  ["2026-05-01T09:59:54.9000000Z", false, true],
  ["2026-05-01T09:50:00.0000000Z", true, false],
  [undefined, false, false],
])("a last line at %s with end marker %s lacks its end: %s", (lastTime, hasEndMarker, lacks) => {
  expect(lacksEnd(log(lastTime, hasEndMarker), completedAt)).toBe(lacks);
});

test("only a last line far from the job's end is outside of its window", () => {
  expect(flagsOf(log("2026-05-01T10:01:59.0000000Z", true), completedAt)).toEqual([]);
  expect(flagsOf(log("2026-05-01T10:02:01.0000000Z", true), completedAt)).toEqual(["outside_job_window"]);
  expect(flagsOf(log("2026-05-01T09:57:59.0000000Z", false), completedAt)).toEqual(["no_end_marker", "outside_job_window"]);
});

test("a log without any timestamp has that flag only", () => {
  expect(flagsOf(log(undefined, false), completedAt)).toEqual(["no_timestamps"]);
});

test("a job without times gets no flag for them", () => {
  expect(flagsOf(log("2026-05-01T09:57:59.0000000Z", false), undefined)).toEqual([]);
});
