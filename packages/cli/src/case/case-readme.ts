// The README of an exported case, for an auditor who knows neither this program nor the archive.

import type { PlannedJob } from "./plan-case.ts";

/** Creates the README in Markdown. Names come from GitHub, so only ids and the repository's name are used. */
export function caseReadme(jobs: readonly PlannedJob[], keyId: string): Buffer {
  return Buffer.from(`# Logs of GitHub Actions jobs, with proof

This folder was exported from an archive of GitHub Actions logs. It can be checked without that archive, without its software and
without a network.

## Check it

Run this in the folder. It needs Node 20 or later (https://nodejs.org) and nothing else:

    node check.mjs

It ends with code 0 and a line that begins with PROVED when everything holds. It ends with 1, and names each file that is wrong, when
something was changed, added or removed. \`node check.mjs --help\` lists all options.

The public key came with the folder. Whoever changes all of it could change the key, too. So ask the archive's owner, over another way
than this folder came, for the SHA-256 of the key, and compare it with the one that check.mjs prints. It was, when this was exported:

    ${keyId}

Who distrusts check.mjs itself gets a copy of it from the archive's owner, as well: \`node check-proof.mjs --case FOLDER\`.

## The jobs

${jobs.map(describeJob).join("\n")}

## The files

| file | what it is |
| --- | --- |
| \`jobs/ID/ID.log\` | the log of the job as text, byte for byte as GitHub served it |
| \`jobs/ID/ID.log.zst\` | the same log as the archive stores it, compressed with zstd |
| \`jobs/ID/record.json\` | the record of the job: GitHub's job object, and what became of the log, with sizes and SHA-256 |
| \`jobs/ID/run-record.json\` | the record of the run's attempt, with its list of jobs; missing while the attempt was not complete |
| \`jobs/ID/*.proof.json\` | for each of these objects, the proof that a signed seal holds it |
| \`seals/*.json\` | the seals: signed lists of objects with their SHA-256, each naming the hash of the one before |
| \`seal-key.pub\` | the public key (Ed25519) of the archive's seals |
| \`check.mjs\` | the program that checks all of this |
| \`manifest.json\` | every other file of this folder with its size and SHA-256 |

## What it proves

- The records, run records and stored logs are byte for byte those that the archive sealed at the time that check.mjs prints.
- The text of each log has the length and the SHA-256 that its sealed record says.
- Where there is no log, the sealed record, or a sealed tombstone, says why.
- No file of this folder was changed, added or removed since the export, if manifest.json still has the SHA-256 that the export printed.

## What it does not prove

- That GitHub's answer, or what a job printed, was true: the archive keeps what it was served.
- When the job ran, by any clock but GitHub's and the archive's. The time of a seal is the archive's own.
- That no other jobs exist. The run record lists the jobs of its attempt; all runs are the subject of the archive's own verification.
- Anything against the holder of the private sealing key, who could have sealed something else.
- What this README says: it is in the manifest, and in no seal.
`);
}

function describeJob({ jobId, record, log, tombstoneSeal }: PlannedJob): string {
  const repository = record.repository.replaceAll(/[^\w./-]/g, "?");
  const where = `- Job ${jobId} of run ${record.run_id}, attempt ${record.run_attempt}, in ${repository} on ${record.host.replaceAll(/[^\w.:-]/g, "?")}`;
  if (log) return `${where}: log of ${log.raw_bytes} bytes, SHA-256 ${log.raw_sha256}`;
  if (tombstoneSeal !== undefined) return `${where}: its log was removed by decision; seal ${tombstoneSeal} holds the tombstone`;
  if (record.log.state === "archived") return `${where}: no log`;
  const original = record.log.copied_from === null ? "" : ` from job ${record.log.copied_from}, which has the log`;
  return `${where}: no log, since it is ${record.log.reason}${original}`;
}
