// A number that passes through keeps its digits.

import { expect, test } from "vitest";

import { isJsonNumber, parseExactJson } from "./exact-json.ts";

test.each([
  "9007199254740993",
  "-9223372036854775808",
  "1.50",
  "0.1000000000000000055511151231257827",
  "1e400",
  "-0",
  "7",
  "2.5",
])("the number %s is printed with its own digits", (digits) => {
  const value = parseExactJson(digits);
  expect(JSON.stringify(value)).toBe(digits);
  expect(isJsonNumber(value)).toBe(true);
});

test("values other than numbers are parsed as by JSON.parse, and ids are numbers", () => {
  const text = '{"id":61901817921,"list":["1.50",null,true,{"NaN":"NaN"}]}';
  expect(parseExactJson(text)).toEqual(JSON.parse(text));
  expect(isJsonNumber("1.50")).toBe(false);
  expect(() => parseExactJson("NaN")).toThrow(SyntaxError);
});
