// Writes a case: objects with their proofs, the necessary seals, the key, the checker, a README and the manifest.

import { execFile } from "node:child_process";
import type { KeyObject } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";

import { readLog } from "@actions-archive/archive/log/read-log";
import { keyIdOf } from "@actions-archive/archive/seal/seal-key";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { PermanentError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";

import { checkerFile } from "../proof/checker.ts";
import { type Archive, createProver } from "../proof/prove-object.ts";
import type { CaseFolder } from "./case-folder.ts";
import { caseReadme } from "./case-readme.ts";
import { completeChain, type PlannedJob, planJob } from "./plan-case.ts";

export type WrittenCase = {
  readonly jobs: readonly (PlannedJob & { /** The seal that holds its record. */ readonly sealedIn: number })[];
  readonly seals: readonly number[];
  readonly manifestSha256: string;
};

/**
 * Writes all files into `folder` and verifies them as an auditor would. Logs are streamed; a record or a seal is held in memory.
 * @throws PermanentError as `planJob`, `completeChain` and the prover; `store/corrupt` when the verification fails.
 */
export async function writeCase(
  archive: Archive,
  folder: CaseFolder,
  { jobIds, publicKey }: { readonly jobIds: readonly number[]; readonly publicKey: KeyObject },
): Promise<WrittenCase> {
  const keyId = keyIdOf(publicKey);
  const planned: PlannedJob[] = [];
  for (const jobId of jobIds) planned.push(await planJob(archive, jobId));
  const needed = new Set<number>();
  const jobs: WrittenCase["jobs"][number][] = [];
  const addObject = openObjectWriter(archive, folder, needed);
  for (const job of planned) jobs.push({ ...job, sealedIn: await addJob({ archive, folder, addObject }, job, needed) });
  const seals = await completeChain(archive.db, needed, keyId);
  for (const sequence of seals) await folder.add(sealKey(sequence), await openObject(archive, sealKey(sequence)));
  await folder.add("seal-key.pub", Buffer.from(publicKey.export({ type: "spki", format: "pem" })));
  await folder.add("check.mjs", createReadStream(checkerFile));
  await folder.add("README.md", caseReadme(planned, keyId));
  const manifestSha256 = await folder.addManifest();
  await checkCase(folder.temporary);
  return { jobs, seals, manifestSha256 };
}

type ObjectFiles = { readonly key: string; readonly jobId: number; readonly file: string; readonly proofFile: string };
type ObjectWriter = (object: ObjectFiles) => Promise<number>;

/** Creates a function that copies one object as it was sealed, with its proof, and returns the number of its seal. */
function openObjectWriter(archive: Archive, folder: CaseFolder, needed: Set<number>): ObjectWriter {
  const prove = createProver(archive);
  return async ({ key, jobId, file, proofFile }) => {
    const { proof, sequence } = await prove(key, jobId);
    needed.add(sequence);
    const { size, sha256 } = await folder.add(file, await openObject(archive, key, proof.entry.version_id ?? undefined));
    if (size !== proof.entry.size || sha256 !== proof.entry.sha256)
      throw new PermanentError(
        "store/corrupt",
        `${key} of job ${jobId} in ${archive.store.url} is not the object that seal ${sequence} holds: it was changed. Run verify, and restore it from a copy.`,
      );
    await folder.add(proofFile, canonicalBytes(proof));
    return sequence;
  };
}

type JobContext = { readonly archive: Archive; readonly folder: CaseFolder; readonly addObject: ObjectWriter };

async function addJob({ archive, folder, addObject }: JobContext, job: PlannedJob, needed: Set<number>): Promise<number> {
  const { jobId, recordKey, runKey, log, tombstoneSeal } = job;
  const at = (name: string) => `jobs/${jobId}/${name}`;
  const sealedIn = await addObject({ key: recordKey, jobId, file: at("record.json"), proofFile: at("record.proof.json") });
  if (runKey !== undefined)
    await addObject({ key: runKey, jobId, file: at("run-record.json"), proofFile: at("run-record.proof.json") });
  if (tombstoneSeal !== undefined) needed.add(tombstoneSeal);
  if (log === undefined) return sealedIn;
  await addObject({ key: log.key, jobId, file: at(`${jobId}.log.zst`), proofFile: at("log.proof.json") });
  const { stored_bytes: sizeBytes, raw_bytes: rawBytes, version_id: versionId } = log;
  await folder.add(
    at(`${jobId}.log`),
    readLog(archive.store, log.key, { sizeBytes, rawBytes, versionId: versionId ?? undefined }),
  );
  return sealedIn;
}

async function openObject({ store }: Archive, key: string, versionId?: string): Promise<AsyncIterable<Buffer>> {
  const stream = await store.open(key, undefined, versionId);
  if (stream) return stream;
  throw new PermanentError(
    "store/corrupt",
    `${key} is not in ${store.url}: something removed it. Restore it from a copy, and run verify.`,
  );
}

/** Runs the auditor's command on the auditor's files. */
async function checkCase(folder: string): Promise<void> {
  await new Promise<void>((done, reject) => {
    execFile(process.execPath, [join(folder, "check.mjs")], { cwd: folder, env: {} }, (error, _stdout, stderr) => {
      if (error === null) return done();
      const why = stderr.trim() || error.message;
      reject(
        new PermanentError(
          "store/corrupt",
          `The case failed its verification and was not written. ${why}\nRun verify --deep to find what was changed in the archive.`,
          { cause: error },
        ),
      );
    });
  });
}
