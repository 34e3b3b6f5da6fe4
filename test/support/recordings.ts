// The recorded logs and job objects of ../shared/fixtures, for replay by the simulator.

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Simulator } from "@actions-archive/github-simulator/simulator";

import type { Workspace } from "./workspace.ts";

const fixtures = fileURLToPath(new URL("../../../shared/fixtures/", import.meta.url));
const logFolders = ["job-logs/bugswarm", "job-logs/hub4j-github-api"];
const fragmentFolder = "job-logs/pytorch-test-infra/classify";
/** Job objects that were recorded together with a log. */
const jobObjects = [
  "api/bugswarm/eclipse-che-che-server-actions-jobs-6642948886.json",
  "api/bugswarm/mwgh-ob-pos-actions-jobs-6991832152.json",
  "api/hub4j-github-api/GHWorkflowRunTest/wiremock/testJobs/__files/7-r_h_g_actions_runs_719643947_jobs.json",
];

export const isWithoutFixtures = !existsSync(fixtures);

/** Gathers complete logs and the objects recorded with them into a folder. `names` are those of the logs. */
export async function gatherRecordings({ folder }: Workspace): Promise<{ replayDir: string; names: string[] }> {
  const replayDir = join(folder, "recordings");
  await mkdir(replayDir);
  const logs = await Promise.all(
    logFolders.map(async (from) => (await readdir(join(fixtures, from))).map((name) => join(fixtures, from, name))),
  );
  for (const path of [...logs.flat(), ...jobObjects.map((object) => join(fixtures, object))])
    await symlink(path, join(replayDir, basename(path)));
  return { replayDir, names: logs.flat().map((path) => basename(path)) };
}

/** Adds fragments of newer logs, without the line, prefix and marks that their authors added. */
export async function addFragments(replayDir: string): Promise<void> {
  for (const name of await readdir(join(fixtures, fragmentFolder))) {
    const text = await readFile(join(fixtures, fragmentFolder, name), "utf8");
    const plain = text
      .replace(/^#=SOURCE=#.*\n/, "")
      .replaceAll("#=MATCH=# ", "")
      .replaceAll(/[‹›]/g, "");
    // One file quotes only an error document of the API, which is no log.
    if (/^\d{4}-\d\d-\d\dT[\d:.]+Z /m.test(plain)) await writeFile(join(replayDir, `${name}.log`), plain);
  }
}

/** @returns by job id: the file from which the simulator serves the log. */
export function fileOfJob({ world }: Simulator): Map<number, string> {
  return new Map(Array.from(world.jobs.values()).flatMap(({ id, log }) => (log.kind === "file" ? [[id, log.path]] : [])));
}
