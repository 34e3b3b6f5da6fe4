// `proof JOB_ID`: a small file that shows to anyone with the public key that the record of a job was sealed.

import { writeFile } from "node:fs/promises";

import { canonicalBytes } from "@actions-archive/archive/canonical-bytes";
import { openStore } from "@actions-archive/archive/open-store";
import { makeProof } from "@actions-archive/archive/proof";
import { readDocument } from "@actions-archive/archive/read-document";
import { parseSeal } from "@actions-archive/archive/seal-envelope";
import type { Store } from "@actions-archive/archive/store";
import { PermanentError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";
import { findObjects } from "@actions-archive/database/objects";
import type { Database } from "@actions-archive/database/open-database";
import type { Command } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print } from "../command-context.ts";
import { parseJobId } from "../parse-job-id.ts";

type ProofOptions = { log?: true; output?: string; json?: true };

const examples = `
Examples:
  actions-archive proof 399444496
  actions-archive proof 399444496 --log --output log.proof.json
  actions-archive proof 399444496 --json | jq -r .entry.sha256

The proof holds the object's key, size and SHA-256, its path to the root of the seal, and the seal's signed head. The record holds the
log's hashes, so one proof of it is a proof of both. Check it with the public key and without this program: docs/check-proof.mjs.`;

export function addProof(program: Command, context: CommandContext): void {
  program
    .command("proof")
    .description("write a small file that proves what was archived of a job, for anyone who has the public key")
    .argument("<job-id>", "GitHub's id of the job", parseJobId)
    .option("--log", "of the log object itself, instead of the job's record")
    .option("--output <file>", "where it goes; default: JOB_ID.proof.json")
    .option("--json", "to stdout, as one JSON document, instead of into a file")
    .addHelpText("after", examples)
    .action(async (jobId: number, { log, output = `${jobId}.proof.json`, json }: ProofOptions) => {
      await using resources = new AsyncDisposableStack();
      const { db, config } = await attachLedger(context, { command: "proof", resources, uses: ["DATABASE_URL", "ARCHIVE_URL"] });
      const store = resources.use(await openStore(config));
      const key = await findKey(db, jobId, log === true ? "log" : "record");
      const { proof, sequence } = await proveObject({ db, store }, key, jobId);
      const text = canonicalBytes(proof);
      if (json) {
        context.stdout.write(`${text.toString("utf8")}\n`);
        return;
      }
      await writeFile(output, text);
      print(
        context,
        [
          `Wrote ${output}: seal ${sequence} holds ${key}, SHA-256 ${proof.entry.sha256}`,
          `Check it: node docs/check-proof.mjs ${output} seal-key.pub`,
        ].join("\n"),
      );
    });
}

async function findKey(db: Database, jobId: number, kind: "log" | "record"): Promise<string> {
  const row = await db
    .selectFrom("archive.logs")
    .select(["record_key", "log_key"])
    .where("job_id", "=", jobId)
    .executeTakeFirst();
  const key = kind === "log" ? row?.log_key : row?.record_key;
  if (key != null) return key;
  throw new PermanentError(
    "usage/invalid",
    row === undefined
      ? `Nothing is recorded of job ${jobId}: it is unknown, or its log is pending or failed. \`report evidence ${jobId}\` shows what is known.`
      : `Job ${jobId} has no log in the archive; without --log its record is proved, which says why.`,
  );
}

async function proveObject({ db, store }: { readonly db: Database; readonly store: Store }, key: string, jobId: number) {
  const [known] = await findObjects(db, [key]);
  const sequence = known?.sealed_in ?? null;
  if (sequence === null)
    throw new PermanentError(
      "usage/invalid",
      `${key} of job ${jobId} is in no seal yet: wait for the next one, or run \`seal\`.`,
    );
  const name = sealKey(sequence);
  const sealed = await readDocument(store, name, (bytes) => parseSeal(bytes, `${name} in ${store.url}`));
  if (sealed === undefined)
    throw new PermanentError(
      "store/corrupt",
      `The seal ${name} is not in ${store.url}: something removed it. Restore it from a copy, and run verify.`,
    );
  const proof = makeProof(sealed, key);
  if (proof === undefined)
    throw new PermanentError(
      "store/corrupt",
      `The seal ${name} in ${store.url} does not hold ${key}, and the database says that it does: run verify.`,
    );
  return { proof, sequence };
}
