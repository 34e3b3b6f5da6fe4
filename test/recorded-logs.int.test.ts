// Real logs of real jobs, replayed by the simulator and archived: the stored bytes equal the recorded ones.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";

import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { expect, test } from "vitest";
import { z } from "zod";

import { askSql } from "./support/ask-sql.ts";
import { runCli } from "./support/processes.ts";
import { fileOfJob, gatherRecordings, isWithoutFixtures } from "./support/recordings.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

/** `logs --raw` takes a process each, so only every eighth log is also read with it. All are read with SQL and from the store. */
const readByCommand = 8;

const Row = z.object({
  job_id: z.int(),
  repository: z.string(),
  log_state: z.string(),
  log_key: z.string(),
  log_bytes: z.int(),
  log_sha256: z.string(),
});

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function zstdcat(path: string): Promise<Buffer> {
  const { stdout } = await promisify(execFile)("zstdcat", [path], { encoding: "buffer", maxBuffer: 1024 ** 3 });
  return stdout;
}

test.skipIf(isWithoutFixtures)(
  "every recorded log is archived byte for byte, and zstdcat agrees (skipped without ../shared/fixtures)",
  { timeout: 300_000 },
  async ({ annotate }) => {
    await using workspace = await openWorkspace();
    const { replayDir, names } = await gatherRecordings(workspace);
    await using simulator = await startSimulator({ replayDir, rateLimits: { perHour: 100_000 } });
    const settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)), ARCHIVE_SINCE: "2020-01-01" };
    const options = { cwd: workspace.folder, settings };

    const { code, stderr, stdout } = await runCli(["start", "--once", "--json"], options);

    expect(code, `${stderr}\n${stdout}`).toBe(0);
    const rows = z.array(Row).parse(await askSql("select * from jobs where log_state = 'archived' order by job_id", options));
    const files = fileOfJob(simulator);
    expect([...files.values()].map((path) => basename(path)).toSorted()).toEqual(names.toSorted());
    expect(rows.map(({ job_id }) => job_id)).toEqual([...files.keys()].toSorted((a, b) => a - b));
    const hasZstdcat = await zstdcat("/dev/null").then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
    );
    if (!hasZstdcat) await annotate("zstdcat is not on the PATH: the objects were not decoded by it", "warning");
    for (const [index, { job_id, log_key, log_bytes, log_sha256 }] of rows.entries()) {
      const path = files.get(job_id) ?? "";
      const recorded = await readFile(path);
      const expected = { bytes: recorded.length, sha256: sha256(recorded) };
      expect({ bytes: log_bytes, sha256: log_sha256 }, path).toEqual(expected);
      const decoded = hasZstdcat ? await zstdcat(join(workspace.archive, log_key)) : recorded;
      expect(decoded.equals(recorded), `zstdcat of ${path}`).toBe(true);
      if (index % readByCommand > 0) continue;
      const raw = await runCli(["logs", String(job_id), "--raw"], options);
      expect(raw.code, raw.stderr).toBe(0);
      expect(raw.stdoutBytes.equals(recorded), `logs ${job_id} --raw, of ${path}`).toBe(true);
    }
    // Logs recorded with a job object are in the repository of that object.
    expect(new Set(rows.map(({ repository }) => repository))).toEqual(
      new Set(["replayed/logs", "eclipse-che/che-server", "mwgh/ob-pos", "hub4j-test-org/GHWorkflowRunTest"]),
    );
  },
);
