// Fields of a row as Postgres quotes them.

import { expect, test } from "vitest";

import { parseRecordText } from "./record-text.ts";

test.each([
  ["()", 0, []],
  ["()", 1, [null]],
  ['("")', 1, [""]],
  ["(1)", 1, ["1"]],
  ["(,)", 2, [null, null]],
  ['(1,,"")', 3, ["1", null, ""]],
  ['("a ""b"", c",d)', 2, ['a "b", c', "d"]],
  ['("back\\\\slash","{""x,y"",NULL}")', 2, ["back\\slash", '{"x,y",NULL}']],
  ['("two\nlines",t)', 2, ["two\nlines", "t"]],
  ['("2026-05-01 10:00:10.123456+00",-infinity)', 2, ["2026-05-01 10:00:10.123456+00", "-infinity"]],
])("%s is a row of %d columns", (text, columns, fields) => {
  expect(parseRecordText(text, columns)).toEqual(fields);
});
