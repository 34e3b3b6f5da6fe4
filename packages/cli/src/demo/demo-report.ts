// The demo's report: every job's state compared with the simulator's oracle, the cost, and example queries.

import { type Answer, answerAsAuditor } from "@actions-archive/database/audit/auditor";
import type { OpenDatabase } from "@actions-archive/database/connection/open-database";
import { countByReason, measureArchive, type ArchiveSize, type ReasonCount } from "@actions-archive/database/ledger/summary";
import { findHead } from "@actions-archive/database/seal/seals";
import { expectedOf } from "@actions-archive/github-simulator/log/expected";
import type { Simulator } from "@actions-archive/github-simulator/simulator";

import { countText } from "../count-text.ts";
import { formatAnswer, formatTable } from "../format-table.ts";
import type { PassReport } from "../once/pass-report.ts";
import { formatBytes } from "./format-bytes.ts";

export type DemoReport = {
  readonly proven: boolean;
  readonly seconds: number;
  readonly size: ArchiveSize;
  readonly logs: readonly ReasonCount[];
  readonly in_progress: number;
  /** Jobs whose state, reason or bytes differ from the simulator's oracle. */
  readonly wrong: readonly string[];
  readonly compared: number;
  /** API requests of this run, without those to the log host. */
  readonly api_calls: number;
  readonly downloads: number;
  readonly archive: string;
  /** The folder of the engines and the archive: what `--dir` takes. */
  readonly dir: string;
  /** A failed job whose log is archived, for the commands that the report offers; null when there is none. */
  readonly example_job_id: number | null;
  /** The head of the chain of seals, `sequence:sha256`; null when nothing could be sealed. */
  readonly head: string | null;
  readonly database: string;
  readonly queries: readonly { readonly question: string; readonly sql: string; readonly answer: Answer }[];
};

type Demo = {
  readonly pass: PassReport;
  readonly simulator: Simulator;
  readonly database: OpenDatabase;
  readonly archiveUrl: URL;
  readonly databaseUrl: string;
  readonly dir: string;
  readonly seconds: number;
};

const examples = [
  {
    question: "Which jobs failed, and is their log kept?",
    sql: "select repository, job_name, conclusion, log_state, log_reason, log_bytes from audit.jobs where conclusion = 'failure' order by completed_at desc, job_id limit 5",
  },
  {
    question: "Which steps take the longest?",
    sql: "select j.repository, s.step_name, count(*) as runs, round(avg(s.duration_seconds), 1)::float8 as mean_seconds from audit.steps s join audit.jobs j using (job_id) group by 1, 2 order by 4 desc nulls last, 1, 2 limit 5",
  },
  {
    question: "What is the proof for one log?",
    sql: "select job_id, run_attempt, log_key, log_sha256, archived_at from audit.jobs where log_state = 'archived' order by log_bytes desc, job_id limit 3",
  },
];

/** Compares the archive with the simulator's oracle, and runs the example queries as the auditor. */
export async function makeDemoReport({
  pass,
  simulator,
  database,
  archiveUrl,
  databaseUrl,
  dir,
  seconds,
}: Demo): Promise<DemoReport> {
  const { wrong, compared } = await compareWithTruth(simulator, database);
  const calls = simulator.journal.entries({ origin: "api" }).filter(({ status }) => status !== 304);
  const queries = [];
  for (const example of examples) queries.push({ ...example, answer: await answerAsAuditor(database.pool, example.sql) });
  const head = await findHead(database.db);
  return {
    proven: pass.complete && wrong.length === 0,
    seconds: Math.round(seconds * 10) / 10,
    size: await measureArchive(database.db),
    logs: await countByReason(database.db),
    in_progress: pass.not_owed.filter(({ kind }) => kind === "run_open").length,
    wrong,
    compared,
    api_calls: calls.length,
    downloads: simulator.journal.entries({ origin: "log", status: 200 }).length,
    archive: archiveUrl.href,
    dir,
    example_job_id: await findExampleJob(database),
    head: head ? `${head.sequence}:${head.sha256}` : null,
    database: withoutPassword(databaseUrl),
    queries,
  };
}

async function compareWithTruth(
  { world, clock }: Simulator,
  { db }: OpenDatabase,
): Promise<{ wrong: string[]; compared: number }> {
  const rows = await db
    .selectFrom("audit.jobs")
    .select(["job_id", "log_state", "log_reason", "log_sha256", "log_bytes"])
    .execute();
  const found = new Map(rows.map((row) => [row.job_id, row]));
  const wrong: string[] = [];
  let compared = 0;
  for (const job of world.jobs.values()) {
    // A log that an earlier demo archived stays archived after its retention has passed.
    const expected = (await expectedOf(job, clock.start.getTime())) ?? (await expectedOf(job, clock.nowMs()));
    if (expected === undefined) continue;
    compared++;
    const row = found.get(job.id);
    found.delete(job.id);
    const isRight =
      expected.state === "archived"
        ? row?.log_sha256 === expected.rawSha256 && row.log_bytes === expected.rawBytes
        : row?.log_state === expected.state && row.log_reason === expected.reason;
    if (!isRight) wrong.push(`job ${job.id}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(row ?? null)}`);
  }
  for (const id of found.keys()) wrong.push(`job ${id}: the simulator has no such completed job`);
  return { wrong, compared };
}

/** The report as a document, with the rows of each query. */
export function demoDocument({ queries, ...report }: DemoReport) {
  return { ...report, queries: queries.map(({ question, sql, answer: { rows } }) => ({ question, sql, rows })) };
}

/** The report as text. */
export function formatDemoReport(report: DemoReport): string {
  const { size, logs, wrong } = report;
  const total = (state: string, key: "jobs" | "raw_bytes" | "stored_bytes") =>
    logs.filter(({ log_state }) => log_state === state).reduce((sum, row) => sum + row[key], 0);
  const archived = total("archived", "jobs");
  const [raw, stored] = [total("archived", "raw_bytes"), total("archived", "stored_bytes")];
  return [
    "",
    `${countText(size.repositories, "repository", "repositories")}, ${countText(size.runs, "run")} in ${countText(size.attempts, "attempt")}, ${countText(size.jobs, "job")}, ${countText(size.steps, "step")}`,
    "",
    formatTable(logs.map(({ log_state, reason, jobs }) => ({ log: log_state, reason, jobs }))),
    "",
    `${formatBytes(raw)} of logs in, ${formatBytes(stored)} stored${stored > 0 ? ` (${(raw / stored).toFixed(1)} ×)` : ""}`,
    `${countText(report.api_calls, "API call")} and ${countText(report.downloads, "download")} in this run${report.downloads > 0 ? `: ${(report.api_calls / archived).toFixed(2)} calls for each archived job` : ": nothing was left to do"}`,
    ...(report.in_progress > 0
      ? [
          `${countText(report.in_progress, "attempt is", "attempts are")} still in progress at the simulated GitHub; a later pass archives them`,
        ]
      : []),
    "",
    `Objects:  ${report.archive}`,
    `Sealed:   ${report.head ?? "nothing"}`,
    ...report.queries.flatMap(({ question, sql, answer }) => ["", question, `  ${sql}`, "", formatAnswer(answer)]),
    "",
    ...wrong.slice(0, 20).map((line) => `WRONG: ${line}`),
    report.proven
      ? `Proven: ${report.compared} of ${report.compared} jobs are in the state, and their logs have the bytes, that the simulated GitHub knows to be right (${report.seconds} s).`
      : `Not proven: ${wrong.length} of ${report.compared} jobs are wrong, or logs are still missing (${report.seconds} s).`,
    "",
    "Go on with:",
    ...nextCommands(report).map((command) => `  npx pnpm actions-archive ${command} --dir ${report.dir}`),
  ].join("\n");
}

/** Commands that work as printed: they start the demo's engines for the call. */
function nextCommands({ example_job_id: jobId }: DemoReport): string[] {
  return [
    "status",
    "jobs --conclusion failure",
    ...(jobId === null ? [] : [`logs ${jobId}`, `proof ${jobId}`]),
    "search 'error|warning'",
    "verify --deep --against-database",
    'sql "select conclusion, count(*) from jobs group by 1"',
  ];
}

async function findExampleJob({ db }: OpenDatabase): Promise<number | null> {
  const row = await db
    .selectFrom("audit.jobs")
    .select("job_id")
    .where("log_state", "=", "archived")
    .where("conclusion", "=", "failure")
    .orderBy("log_bytes", "desc")
    .orderBy("job_id")
    .limit(1)
    .executeTakeFirst();
  return row?.job_id ?? null;
}

function withoutPassword(text: string): string {
  const url = new URL(text);
  url.password = "";
  return url.href;
}
