// The output of `sql`: each value as Postgres prints it, as a table, CSV and JSON.

import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { openFilledArchive } from "./support/filled-archive.ts";
import { runCli } from "./support/processes.ts";
import { openWorkspace } from "./support/workspace.ts";

const query = `select
    9007199254740993::bigint as id, -12345678901234567890.10::numeric as amount, 'NaN'::float8 as ratio,
    '2026-05-01 10:00:10.000001+00'::timestamptz as at, '-infinity'::timestamptz as never,
    '-1 days -00:00:00.5'::interval as since, array['a', null, 'b,c'] as labels, null::text as nothing, true as yes
  union all select 7, 0.50, '-Infinity', '2026-05-01 10:00:10+00', 'infinity', '2 mons', '{}', 'x, "y"', false
  order by 1 desc`;

test("sql prints every number and time with its digits, in each of its forms", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const run = (...args: string[]) => runCli(["sql", ...args], archive.options);

  const csv = await run("--csv", query);
  expect(csv).toMatchObject({ code: 0, stderr: "" });
  expect(csv.stdout.split("\r\n")).toEqual([
    "id,amount,ratio,at,never,since,labels,nothing,yes",
    '9007199254740993,-12345678901234567890.10,NaN,2026-05-01 10:00:10.000001+00,-infinity,-1 days -00:00:00.5,"{a,NULL,""b,c""}",,t',
    '7,0.50,-Infinity,2026-05-01 10:00:10+00,infinity,2 mons,{},"x, ""y""",f',
    "",
  ]);
  const json = await run("--json", query);
  for (const part of [
    '"id": 9007199254740993,',
    '"amount": -12345678901234567890.10,',
    '"ratio": "NaN",',
    '"at": "2026-05-01T10:00:10.000001+00:00",',
    '"never": "-infinity",',
    '"since": "-1 days -00:00:00.5",',
    '"amount": 0.50,',
    '"yes": false',
  ])
    expect(json.stdout).toContain(part);
  const table = await run(query);
  for (const text of ["9007199254740993", "-12345678901234567890.10", "2026-05-01 10:00:10.000001+00", "-1 days -00:00:00.5"])
    expect(table.stdout).toContain(text);
});

const isPsqlAbsent = spawnSync("psql", ["--version"]).error !== undefined;

test.skipIf(isPsqlAbsent)("sql --csv and psql --csv print the same (skipped without psql)", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const { stdout } = await runCli(["sql", "--csv", query], archive.options);
  const url = `${archive.options.settings["DATABASE_URL"]}?options=-c%20timezone%3DUTC`;
  const psql = await promisify(execFile)("psql", ["-X", "--csv", "-c", query, url]);
  expect(stdout.replaceAll("\r\n", "\n")).toBe(psql.stdout);
});

test("CSV of sql starts no formula, and JSON refuses two columns of one name", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const csv = await runCli(["sql", "--csv", "select '=1+1' as a, '-2+3' as b, -5 as c, '-' as a"], archive.options);
  expect(csv.stdout).toBe("a,b,c,a\r\n'=1+1,'-2+3,-5,'-\r\n");
  const json = await runCli(["sql", "--json", "select 1, 2"], archive.options);
  expect(json).toMatchObject({ code: 2, stdout: "" });
  expect(json.stderr).toContain('Two columns of the query are named "?column?"');
});
