// The commands by name, in the order of the help. A command's module is imported only when it is needed, since all of them take
// seconds to load.

import type { Command } from "commander";

import type { CommandContext } from "./command-context.ts";

type AddCommand = (program: Command, context: CommandContext) => void;

export type CommandEntry = {
  readonly name: string;
  readonly description: string;
  readonly load: () => Promise<AddCommand>;
};

export const commandTable: readonly CommandEntry[] = [
  {
    name: "start",
    description: "run all workers in one process",
    load: async () => (await import("./commands/start.ts")).addStart,
  },
  {
    name: "demo",
    description: "run the whole pipeline on embedded engines against a simulated GitHub, then print an audit report",
    load: async () => (await import("./commands/demo.ts")).addDemo,
  },
  {
    name: "migrate",
    description: "bring the schema up to date, the queue's too when it is on Postgres",
    load: async () => (await import("./commands/migrate.ts")).addMigrate,
  },
  {
    name: "backfill",
    description: "archive the history of repositories, by the creation time of their runs",
    load: async () => (await import("./commands/backfill.ts")).addBackfill,
  },
  {
    name: "status",
    description: "print what is archived, what is missing, and why",
    load: async () => (await import("./commands/status.ts")).addStatus,
  },
  {
    name: "gaps",
    description: "list what is missing or lost: where, since when, why, and what to do",
    load: async () => (await import("./commands/gaps.ts")).addGaps,
  },
  {
    name: "doctor",
    description: "check settings, GitHub, engines, disk and keys; names the cure of what is wrong",
    load: async () => (await import("./commands/doctor.ts")).addDoctor,
  },
  {
    name: "jobs",
    description: "list completed jobs, newest first",
    load: async () => (await import("./commands/jobs.ts")).addJobs,
  },
  {
    name: "retry",
    description: "retry failed logs immediately: those of the given jobs, or all that the options select",
    load: async () => (await import("./commands/retry.ts")).addRetry,
  },
  {
    name: "logs",
    description: "print an archived log, or one step of it; control characters are made visible, colours pass",
    load: async () => (await import("./commands/logs.ts")).addLogs,
  },
  {
    name: "search",
    description: "search archived logs, newest first, and report what could not be read",
    load: async () => (await import("./commands/search.ts")).addSearch,
  },
  {
    name: "report",
    description: "answers the questions of an audit, each by one documented SQL file; alone it lists them",
    load: async () => (await import("./commands/report.ts")).addReport,
  },
  {
    name: "sql",
    description: "run one read-only SQL statement on the views of schema audit",
    load: async () => (await import("./commands/sql.ts")).addSql,
  },
  {
    name: "seal",
    description: "make one seal now, even when nothing changed",
    load: async () => (await import("./commands/seal.ts")).addSeal,
  },
  {
    name: "verify",
    description: "prove offline that nothing in the archive was changed, removed or added since it was sealed",
    load: async () => (await import("./commands/verify.ts")).addVerify,
  },
  {
    name: "proof",
    description: "write a small file that proves what was archived of a job, for anyone who has the public key",
    load: async () => (await import("./commands/proof.ts")).addProof,
  },
  {
    name: "export-case",
    description: "write jobs with logs, records and proofs into a folder that anyone can check without this archive",
    load: async () => (await import("./commands/export-case.ts")).addExportCase,
  },
  {
    name: "hold",
    description: "protect logs from retention policies and erase; without a job, list the holds",
    load: async () => (await import("./commands/hold.ts")).addHold,
  },
  {
    name: "retention",
    description: "how long logs are kept, by owner or repository; without a subcommand, list the policies",
    load: async () => (await import("./commands/retention.ts")).addRetention,
  },
  {
    name: "erase",
    description: "remove the archived log of a job permanently, for example a printed secret or a legal request",
    load: async () => (await import("./commands/erase.ts")).addErase,
  },
  {
    name: "rebuild",
    description: "fill an empty database from the store",
    load: async () => (await import("./commands/rebuild.ts")).addRebuild,
  },
  {
    name: "reindex",
    description: "read archived logs again where the extraction or the job object has changed since",
    load: async () => (await import("./commands/reindex.ts")).addReindex,
  },
];
