// The date syntax of the `created` filter.

import { expect, test } from "vitest";

import { tryParseCreated } from "./created-filter.ts";

const at = (text: string) => Date.parse(text);

test.each([
  [">=2024-02-09T10:19Z", at("2024-02-09T10:19:00Z"), Infinity],
  [">2024-02-09", at("2024-02-10T00:00:00Z"), Infinity],
  ["<2024-02-09", -Infinity, at("2024-02-09T00:00:00Z") - 1],
  ["<=2024-02-09", -Infinity, at("2024-02-10T00:00:00Z") - 1],
  ["2024-02-09", at("2024-02-09T00:00:00Z"), at("2024-02-10T00:00:00Z") - 1],
  ["2024-02-09..2024-02-10", at("2024-02-09T00:00:00Z"), at("2024-02-11T00:00:00Z") - 1],
  ["2024-02-09T10:00:00+02:00..2024-02-09T10:00:01Z", at("2024-02-09T08:00:00Z"), at("2024-02-09T10:00:02Z") - 1],
  ["*..2024-02-09T10:00:00Z", -Infinity, at("2024-02-09T10:00:01Z") - 1],
  ["2024-02-09T10:00:00.000Z..*", at("2024-02-09T10:00:00Z"), Infinity],
])("%s is read with both ends included", (text, fromMs, toMs) => {
  expect(tryParseCreated(text)).toEqual({ fromMs, toMs });
});

test.each(["yesterday", "2024-13-40", ">=", "2024-02-09..", "2024-02-09T25:00Z"])("%s is no filter", (text) => {
  expect(tryParseCreated(text)).toBeUndefined();
});
