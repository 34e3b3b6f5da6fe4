// `sql QUERY`: read-only SQL as the auditor, for those without psql.

import { queryAsAuditor } from "@actions-archive/database/auditor";
import type { Command } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { formatTable } from "../format-table.ts";

export function addSql(program: Command, context: CommandContext): void {
  program
    .command("sql")
    .description("one read-only SQL statement on the views of schema audit")
    .argument("<query>", "a statement; audit is on the search path")
    .option("--json", "one JSON document: the rows")
    .addHelpText(
      "after",
      '\nExamples:\n  actions-archive sql "select conclusion, count(*) from jobs group by 1"\n  actions-archive sql --json "select * from audit.steps where job_id = 399444496"',
    )
    .action(async (query: string, { json }: { json?: true }) => {
      await using resources = new AsyncDisposableStack();
      const { pool } = await attachLedger(context, { command: "sql", resources });
      const rows = await queryAsAuditor(pool, query);
      if (json) return printJson(context, rows);
      print(context, `${formatTable(rows)}\n(${rows.length} ${rows.length === 1 ? "row" : "rows"})`);
    });
}
