// `export-case JOB_ID… --to DIR`: writes jobs with their logs and proofs into a folder that an auditor checks with Node alone.

import { openStoreForReading } from "@actions-archive/archive/open-store";
import { keyIdOf } from "@actions-archive/archive/seal/seal-key";
import { PermanentError } from "@actions-archive/core/errors";
import type { Command } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { openCaseFolder } from "../case/case-folder.ts";
import { type WrittenCase, writeCase } from "../case/write-case.ts";
import { type CommandContext, print, printJson, stopOnSignal } from "../command-context.ts";
import { parseJobId } from "../parse-job-id.ts";
import { shellCommand } from "../proof/checker.ts";
import { findPublicKeys } from "../verify/public-keys.ts";

type ExportCaseOptions = { to: string; publicKey?: string; json?: true };

const examples = `
Examples:
  actions-archive export-case 399444496 --to case-7
  actions-archive export-case 399444496 399444497 --to /mnt/usb/case-7 --public-key seal-key.pub
  actions-archive export-case 399444496 --to case-7 --json | jq -r .manifest_sha256
  actions-archive sql "select job_id from audit.jobs where run_id = 26365060973" --json | jq ".[].job_id" | xargs actions-archive export-case --to run

The folder holds each job's log (as text and as stored), its record, the record of its run's attempt, a proof of each, the seals, the
public key, a README and a checker. Whoever gets it runs \`node check.mjs\` in it, with Node 20 or later and nothing else. A job without
a log is exported with the record that says why. The folder is checked before it appears; after an error there is none.
docs/verify.md says what a case proves and what it does not.

Ends with 0 when the case is written, 2 when it could not be.`;

export function addExportCase(program: Command, context: CommandContext): void {
  program
    .command("export-case")
    .argument("<job-id...>", "GitHub's ids of jobs", (text: string, ids: number[]) => [...ids, parseJobId(text)], [])
    .requiredOption("--to <dir>", "the folder; it must be empty, or not exist yet")
    .option("--public-key <file>", "the archive's public key in PEM; default: that of the key it seals with")
    .option("--json", "one JSON document that sums up the case")
    .addHelpText("after", examples)
    .action(async (ids: number[], { to, publicKey: keyFile, json }: ExportCaseOptions) => {
      const jobIds = [...new Set(ids)].toSorted((a, b) => a - b);
      const signal = stopOnSignal();
      await using resources = new AsyncDisposableStack();
      const uses = ["DATABASE_URL", "ARCHIVE_URL"] as const;
      const { db, config } = await attachLedger(context, { command: "export-case", resources, uses });
      const [publicKey] = await findPublicKeys(keyFile === undefined ? [] : [keyFile], context);
      if (publicKey === undefined)
        throw new PermanentError("usage/invalid", "There is no public key: name it with --public-key FILE.");
      const store = resources.use(await openStoreForReading(config));
      const folder = resources.use(await openCaseFolder(to, signal));
      const written = await writeCase({ db, store }, folder, { jobIds, publicKey });
      await folder.publish();
      const summary = summarize(written, folder, keyIdOf(publicKey));
      if (json) return printJson(context, summary);
      print(context, describe(summary));
    });
}

type Folder = Awaited<ReturnType<typeof openCaseFolder>>;
type Summary = ReturnType<typeof summarize>;

function summarize({ jobs, seals, manifestSha256 }: WrittenCase, { target, files }: Folder, keyId: string) {
  return {
    folder: target,
    files: files.length + 1,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    manifest_sha256: manifestSha256,
    key_id: keyId,
    seals,
    jobs: jobs.map(({ jobId, record, log, runKey, tombstoneSeal, sealedIn }) => ({
      job_id: jobId,
      run_id: record.run_id,
      run_attempt: record.run_attempt,
      repository: record.repository,
      log_state: log ? "archived" : "absent",
      log_reason: reasonOfAbsence(record.log, tombstoneSeal),
      copied_from_job_id: record.log.state === "absent" ? record.log.copied_from : null,
      log_bytes: log?.raw_bytes ?? null,
      log_sha256: log?.raw_sha256 ?? null,
      has_run_record: runKey !== undefined,
      sealed_in: sealedIn,
    })),
    check_command: shellCommand(["node", `${target}/check.mjs`]),
  };
}

function reasonOfAbsence(log: WrittenCase["jobs"][number]["record"]["log"], tombstoneSeal: number | undefined): string | null {
  if (tombstoneSeal !== undefined) return "removed";
  return log.state === "absent" ? log.reason : null;
}

function describe({ folder, files, jobs, manifest_sha256: manifest, key_id: keyId, check_command: check }: Summary): string {
  const lines = jobs.map(({ job_id, repository, log_bytes, log_sha256, log_reason, copied_from_job_id: original }) => {
    const log = log_bytes === null ? `no log, ${log_reason}` : `log of ${log_bytes} bytes, SHA-256 ${log_sha256}`;
    return `  ${job_id} in ${repository}: ${log}${original === null ? "" : `: export job ${original}, which has it`}`;
  });
  return [
    `Wrote ${files} files of ${jobs.length} ${jobs.length === 1 ? "job" : "jobs"} into ${folder}, and checked them:`,
    ...lines,
    `SHA-256 of manifest.json: ${manifest}`,
    `SHA-256 of the public key: ${keyId}`,
    "Give both to the recipient over another way than the folder.",
    `Check it: ${check}`,
  ].join("\n");
}
