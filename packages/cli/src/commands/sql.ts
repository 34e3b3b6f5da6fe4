// `sql QUERY`: runs read-only SQL as the auditor, without psql.

import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { type Answer, answerAsAuditor } from "@actions-archive/database/audit/auditor";
import { type Command, Option } from "commander";
import type pg from "pg";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { countText } from "../count-text.ts";
import { formatAnswer } from "../format-table.ts";
import { printCsv } from "../print-csv.ts";

const examples = `
Examples:
  actions-archive sql "select conclusion, count(*) from jobs group by 1"
  actions-archive sql --json "select * from audit.steps where job_id = 399444496"
  actions-archive sql --csv "select repository, sum(log_bytes) from jobs group by 1" > bytes.csv

Values are printed as Postgres prints them: the table and CSV as psql does in UTC, JSON as to_json does. Numbers keep all their digits in
each: a program that reads JSON numbers as 64-bit floats rounds those beyond 2^53, jq 1.7 or newer does not.`;

export function addSql(program: Command, context: CommandContext): void {
  program
    .command("sql")
    .argument("<query>", "a statement; audit is on the search path")
    .option("--json", "one JSON document: the rows")
    .addOption(
      new Option("--csv", "RFC 4180, with an apostrophe before values that a spreadsheet would read as a formula").conflicts(
        "json",
      ),
    )
    .addHelpText("after", examples)
    .action(async (query: string, { json, csv }: { json?: true; csv?: true }) => {
      await using resources = new AsyncDisposableStack();
      const { pool } = await attachLedger(context, { command: "sql", resources });
      const answer = await answerOne(pool, query);
      if (csv) return printCsv(context, answer);
      if (json) return printJson(context, namedRows(answer));
      print(context, `${formatAnswer(answer)}\n(${countText(answer.rows.length, "row")})`);
    });
}

async function answerOne(pool: pg.Pool, query: string): Promise<Answer> {
  try {
    return await answerAsAuditor(pool, query);
  } catch (error) {
    // Postgres's message about none or several statements is about its cursor.
    if (!errorMessage(error).includes("cannot open multi-query plan as cursor")) throw error;
    throw new PermanentError("usage/invalid", "Give one statement.", { cause: error });
  }
}

// A JSON object has one value per name: others would be lost silently.
function namedRows({ columns, rows }: Answer): Answer["rows"] {
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice === undefined) return rows;
  throw new PermanentError(
    "usage/invalid",
    `Two columns of the query are named ${JSON.stringify(twice)}, and a JSON object has one value per name: rename one with \`as\``,
  );
}
