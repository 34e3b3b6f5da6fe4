// psql's variables are bound, and nothing else; text that psql and the program could read differently is refused.

import fc from "fast-check";
import { expect, test } from "vitest";

import { parseReport } from "./report-file.ts";

const head = `-- What is there.
--
-- More of it,
-- in two lines.
--
-- Parameters:
--   since <date or days>  from when;
--     30 days ago unless given
--   by <a|b>  what a row is
--   job_id  which job
-- Columns:
--   one, two  both of them
--   three  the third
-- Cannot know:
--   What is
--   unknown.
-- Examples:
--   actions-archive report x --by a

\\if :{?since}
\\else
  \\set since 30
\\endif
\\if :{?by}
\\else
  \\set by 'a (b) [c]'
\\endif
`;
const statementsOf = (sql: string) => {
  const { rows, unread } = parseReport(head + sql);
  return [rows, unread];
};

test("the heading has a report's summary, parameters and columns", () => {
  expect(parseReport(`${head}select 1;`)).toEqual({
    summary: "What is there.",
    description: "More of it, in two lines.",
    parameters: [
      { name: "since", placeholder: "date or days", description: "from when; 30 days ago unless given", fallback: "30" },
      { name: "by", placeholder: "a|b", description: "what a row is", fallback: "a (b) [c]" },
      { name: "job_id", placeholder: undefined, description: "which job", fallback: undefined },
    ],
    columns: [
      { name: "one", description: "both of them" },
      { name: "two", description: "both of them" },
      { name: "three", description: "the third" },
    ],
    cannotKnow: "What is unknown.",
    examples: ["actions-archive report x --by a"],
    rows: "select 1",
    unread: undefined,
  });
});

test("each occurrence of a variable is bound by its parameter's position", () => {
  expect(statementsOf("select :'by', :'since'::timestamptz, :'by';\nselect :'job_id'::bigint;\n")).toEqual([
    "select ($1)[2], ($1)[1]::timestamptz, ($1)[2]",
    "select ($1)[3]::bigint",
  ]);
});

test.each([
  ["select 1::text, '2026'::timestamptz::date", "a cast"],
  ["select ':''since'' ; it''s'", "a string"],
  ["select e'it\\'s :x ; '", "a string with escapes"],
  [`select 1 as ":'since' "" ;"`, "a name"],
  ["select 1 -- :'nobody' ; 'quote\n + 1", "a comment"],
  ["select $$ :'nobody' ; $$ || $a$ $$ ; $a$", "a string between dollars"],
  ["select (array[1, 2, 3])[1:2]", "a slice"],
])("%s stays as it is: %s", (sql) => {
  expect(statementsOf(`${sql};`)).toEqual([sql, undefined]);
});

test.each([
  ["select :since", ":since"],
  ['select :"since"', ':"since'],
  ["select :{?since}", ":{?since"],
  ["select :'nobody'", ":'nobody': is not among the parameters"],
  ["select $1", "$1"],
  ["select 1 \\gset", "\\"],
  ["select 1 /* :'since' */", "/*"],
  ["select 1; select 2; select 3", "one statement"],
  ["-- nothing", "one statement"],
])("%s is refused", (sql, message) => {
  expect(() => parseReport(head + sql)).toThrow(message);
});

test.each(["\\set since 'it''s'", "\\set since a b", "\\set since :x", "\\! ls", "\\set nobody 1"])(
  "a head with %s is refused",
  (line) => {
    expect(() => parseReport(`${head}${line}\nselect 1;`)).toThrow(/may stand here|is not among the parameters/);
  },
);

test("variables around strings and comments are bound", () => {
  const quoted = fc.string({ unit: "grapheme" }).map((text) => `'${text.replaceAll("'", "''")}'`);
  const comment = fc.string().map((text) => `--${text.replaceAll("\n", "")}\n`);
  fc.assert(
    fc.property(fc.array(fc.oneof(quoted, comment, fc.constant(" :'since' ")), { maxLength: 20 }), (parts) => {
      const sql = `select ${parts.join(" || ")}0`;
      const [rows] = statementsOf(sql);
      expect(rows).toBe(`select ${parts.map((part) => (part === " :'since' " ? " ($1)[1] " : part)).join(" || ")}0`.trim());
    }),
  );
});
