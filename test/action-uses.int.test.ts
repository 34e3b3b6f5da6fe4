// Compares the reports on real logs, archived by the program, with a search of the files themselves.

import { readFile } from "node:fs/promises";

import { listReports, runReport } from "@actions-archive/database/audit/reports";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { expect, test } from "vitest";
import { z } from "zod";

import { runCli } from "./support/processes.ts";
import { addFragments, fileOfJob, gatherRecordings, isWithoutFixtures } from "./support/recordings.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const since = "2015-01-01";

const Use = z.object({ job_id: z.int(), action: z.string(), ref: z.string().nullable(), sha: z.string().nullable() });
type Use = z.output<typeof Use>;
const Summary = z.object({
  rows: z.array(z.object({ action: z.string(), ref: z.string().nullable(), sha: z.string().nullable(), jobs: z.int() })),
  truncated: z.literal(false),
});

/** Searches a raw log for the runner's own line, from its timestamp to its end. */
async function grep(job_id: number, path: string): Promise<Use[]> {
  const text = await readFile(path, "utf8");
  const found = text.matchAll(/^\uFEFF?\d{4}-\S+Z Download action repository '([^'@]+)@([^']+)'(?: \(SHA:([0-9a-f]+)\))?\r?$/gm);
  return [...found].map(([, action = "", ref = null, sha = null]) => ({ job_id, action, ref, sha }));
}

/** The runner's line names the repository only. The report adds the path in it where a step names one. */
const repositoryOf = (action: string) => action.split("/").slice(0, 2).join("/");
/** Other lines report images and reusable workflows. */
const isDownloaded = ({ action }: { action: string }) =>
  !action.startsWith("docker://") && !action.includes("/.github/workflows/");
const sorted = (uses: readonly Use[]) =>
  [...new Set(uses.map(({ job_id, action, ref, sha }) => [job_id, repositoryOf(action), ref, sha].join(" ")))].toSorted();

test.skipIf(isWithoutFixtures)(
  "action-uses and actions find in real logs what grep finds, and say that all were read (skipped without ../shared/fixtures)",
  { timeout: 300_000 },
  async () => {
    await using workspace = await openWorkspace();
    const { replayDir } = await gatherRecordings(workspace);
    await addFragments(replayDir);
    await using simulator = await startSimulator({ replayDir, rateLimits: { perHour: 100_000 } });
    const engines = await engineSettings(workspace);
    const settings = { ...githubSettings(simulator), ...engines, ARCHIVE_SINCE: since };
    const options = { cwd: workspace.folder, settings };
    const start = await runCli(["start", "--once"], options);
    expect(start.code, start.stderr).toBe(0);

    const searched = (await Promise.all(Array.from(fileOfJob(simulator), ([job_id, path]) => grep(job_id, path)))).flat();
    expect(searched.length).toBeGreaterThan(100);

    await using database = await openDatabase({ url: engines["DATABASE_URL"] ?? "", applicationName: "test" });
    const [report] = listReports().filter(({ name }) => name === "action-uses");
    if (report === undefined) throw new Error("There is no report action-uses");
    const { rows, unread } = await runReport(database.pool, report, { since });
    expect(unread).toEqual({});
    const uses = z.array(Use).parse(rows);
    expect(sorted(uses.filter(isDownloaded))).toEqual(sorted(searched));

    const { stdout, stderr, code } = await runCli(["report", "actions", "--since", since, "--json"], options);
    expect(code, stderr).toBe(0);
    const summary = Summary.parse(JSON.parse(stdout));
    const jobsOf = Map.groupBy(uses, ({ action, ref, sha }) => [action.toLowerCase(), ref, sha].join(" "));
    expect(new Map(summary.rows.map(({ action, ref, sha, jobs }) => [[action, ref, sha].join(" "), jobs]))).toEqual(
      new Map(Array.from(jobsOf, ([use, of]) => [use, new Set(of.map(({ job_id }) => job_id)).size])),
    );
  },
);
