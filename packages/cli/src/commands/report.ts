// `report NAME`: runs a documented query of packages/database/reports, with the options that its file declares.

import { PermanentError } from "@actions-archive/core/errors";
import { queryAsAuditor } from "@actions-archive/database/audit/auditor";
import { listReports, type Report, runReport } from "@actions-archive/database/audit/reports";
import { type Command, Option } from "commander";
import type pg from "pg";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, printJson } from "../command-context.ts";
import { parseValue, reportArgument, reportOption } from "../report/report-option.ts";
import { type ReportAnswer, printDocument, printReportCsv, printTable } from "../report/report-output.ts";

type Format = { json?: true; csv?: true };

/** The report over all actions, which `action-uses` without --action runs. */
const summaryOfUses = "actions";

export function addReport(program: Command, context: CommandContext): void {
  const reports = listReports();
  const command = program
    .command("report")
    .argument("[name]", "a report of the list below")
    .helpCommand(false)
    .configureHelp({ subcommandTerm: (one) => one.name() })
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive report action-uses --action tj-actions/changed-files --since 2025-03-14\n  actions-archive report deployments --help\n\nThey read the views of schema audit and nothing else; docs/reports.md says how to run them in psql and Grafana.",
    )
    .action((name: string | undefined) => {
      if (name === undefined) return command.outputHelp();
      const names = reports.map((report) => report.name).join(", ");
      return command.error(`error: there is no report '${name}': the reports are ${names}`);
    });
  for (const report of reports) addOne(command, context, { report, reports });
}

type Choice = { readonly report: Report; readonly reports: readonly Report[] };

function addOne(parent: Command, context: CommandContext, { report, reports }: Choice): void {
  const { parameters } = report;
  const [options, args] = [
    parameters.filter(({ fallback }) => fallback !== undefined),
    parameters.filter(({ fallback }) => fallback === undefined),
  ];
  const isDocument = report.columns.length === 1;
  const command = parent
    .command(report.name)
    .summary(report.summary)
    .description([report.summary, report.description].filter(Boolean).join("\n\n"));
  for (const parameter of args) command.addArgument(reportArgument(parameter));
  for (const parameter of options) command.addOption(reportOption(parameter));
  const csv = new Option("--csv", "RFC 4180, with an apostrophe before values that a spreadsheet would read as a formula");
  if (!isDocument) command.addOption(csv.conflicts("json"));
  command
    .option("--json", isDocument ? "one JSON document, in any case" : "one JSON document: rows, and what could not be read")
    .addHelpText("after", helpOf(report))
    .action(async (...given: unknown[]) => {
      // Commander passes the arguments in order, then the options, then the command.
      const chosen = given[args.length] as Format & Readonly<Record<string, string | undefined>>;
      const values = Object.fromEntries(
        [
          ...args.map(({ name }, index) => [name, given[index]] as const),
          ...options.map((parameter) => [parameter.name, chosen[reportOption(parameter).attributeName()]] as const),
        ].filter((pair): pair is readonly [string, string] => typeof pair[1] === "string"),
      );
      const summary = reports.find(({ name }) => name === summaryOfUses);
      const selected = report.name === "action-uses" && values["action"] === undefined ? (summary ?? report) : report;
      await answer(context, { report: selected, values, format: chosen });
    });
}

type Request = { readonly report: Report; readonly values: Readonly<Record<string, string>>; readonly format: Format };

async function answer(context: CommandContext, { report, values: given, format }: Request): Promise<void> {
  const values = withDefaults(report, given);
  await using resources = new AsyncDisposableStack();
  const { pool } = await attachLedger(context, { command: `report ${report.name}`, resources });
  if (values["repository"] !== undefined) values["repository"] = await findRepository(pool, values["repository"]);
  const limit = values["limit"] === undefined ? Infinity : Number(values["limit"]);
  // Requests one row more than the limit, to detect further rows.
  const found = await runReport(pool, report, {
    ...values,
    ...(limit < Infinity && { limit: String(limit + 1) }),
  });
  const { rows, texts } = found;
  if (report.columns.length === 1) return printOnly(context, rows, values);
  const full: ReportAnswer = {
    ...found,
    report,
    values,
    rows: rows.slice(0, limit),
    texts: texts.slice(0, limit),
    truncated: rows.length > limit,
  };
  if (format.csv) printReportCsv(context, full);
  else if (format.json) printDocument(context, full);
  else printTable(context, full);
}

/** The given values, and the file's default numbers, which are validated and converted in the same way. */
function withDefaults({ parameters }: Report, given: Readonly<Record<string, string>>): Record<string, string> {
  const own = parameters.flatMap(({ name, fallback = "" }) =>
    /^\d+$/.test(fallback) ? [[name, parseValue(name, fallback)]] : [],
  );
  return { ...Object.fromEntries(own), ...given };
}

function printOnly(context: CommandContext, rows: ReportAnswer["rows"], values: Readonly<Record<string, string>>): void {
  const [document] = rows.flatMap((row) => Object.values(row));
  if (document === undefined)
    throw new PermanentError(
      "usage/invalid",
      `No job ${values["job_id"]} is among the completed jobs of this archive: actions-archive gaps lists what is missing`,
    );
  printJson(context, document);
}

/** The name in GitHub's spelling, which an index can find; names are case-insensitive. */
async function findRepository(pool: pg.Pool, name: string): Promise<string> {
  const rows = await queryAsAuditor(
    pool,
    "select distinct repository from audit.repositories where lower(repository) = lower(($1)[1])",
    [name],
  );
  const names = rows.map(({ repository }) => String(repository));
  const [found = name, other] = names;
  if (names.length === 0)
    throw new PermanentError(
      "usage/invalid",
      `No repository ${name} is known to this archive: actions-archive status lists them`,
    );
  if (other === undefined || names.includes(name)) return names.includes(name) ? name : found;
  throw new PermanentError("usage/invalid", `Two repositories are called so: write one of ${names.join(", ")}`);
}

function helpOf({ name, columns, cannotKnow, examples, parameters }: Report): string {
  const groups = Map.groupBy(columns, ({ description }) => description);
  const described = [...groups].map(([words, group]) => `  ${group.map((column) => column.name).join(", ")}: ${words}`);
  const variables = parameters.filter(({ fallback }) => fallback === undefined).map((parameter) => ` -v ${parameter.name}=…`);
  return [
    `\nColumns:\n${described.join("\n")}`,
    `\nWhat it cannot know: ${cannotKnow}`,
    `\nExamples:\n${examples.map((example) => `  ${example}`).join("\n")}`,
    `  psql${variables.join("")} -f packages/database/reports/${name}.sql`,
  ].join("\n");
}
