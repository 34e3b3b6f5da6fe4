// `logs` of a run, of failed steps, and of the address of a job's page.

import { expect, test } from "vitest";

import { firstJobId, openFilledArchive } from "./support/filled-archive.ts";
import { runCli } from "./support/processes.ts";
import { openWorkspace } from "./support/workspace.ts";

const runId = 26_365_060_973;
const stamp = "2026-05-01T10:00:20.0000000Z";
const text = `${stamp} prepare\n${stamp} make: *** failed\n${stamp} clean up\n`;
const steps = ["success", "failure", "success"].map((conclusion, index) => ({
  number: index + 1,
  name: `Step ${index + 1}`,
  conclusion,
}));
const sections = text
  .trimEnd()
  .split("\n")
  .map((line, index) => ({
    step_number: index + 1,
    first_line: index + 1,
    line_count: 1,
    raw_start: text.indexOf(line),
    raw_bytes: line.length + 1,
  }));

test("logs prints a run, its failed steps, and the job that an address names", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const [failed, passed, skipped] = [firstJobId, firstJobId + 1, firstJobId + 2];
  await archive.archive({ job_id: failed, name: "build", conclusion: "failure", steps }, text, sections);
  await archive.archive({ job_id: passed, name: "lint" }, `${stamp} all good\n`);
  await archive.settleAbsent(
    { job_id: skipped, name: "deploy", conclusion: "skipped" },
    { state: "absent", reason: "not_run", copied_from: null },
  );
  const run = (...args: string[]) => runCli(["logs", ...args], archive.options);

  const whole = await run("--run", String(runId));
  expect(whole.code).toBe(0);
  expect(whole.stdout).toBe(`==> build (job ${failed}) <==\n${text}\n==> lint (job ${passed}) <==\n${stamp} all good\n\n`);
  expect(whole.stderr).toContain(`The log of job ${skipped}`);

  const failedSteps = `==> build (job ${failed}), step 2: Step 2 <==\n${stamp} make: *** failed\n\n`;
  expect(await run("--run", String(runId), "--failed")).toMatchObject({ code: 0, stdout: failedSteps, stderr: "" });
  expect(await run(String(failed), "--failed")).toMatchObject({ code: 0, stdout: failedSteps });
  const address = `https://github.com/acme/app/actions/runs/${runId}/job/${failed}`;
  expect(await run(address)).toMatchObject({ code: 0, stdout: text });
  expect(await run(`${address}#step:2:1`)).toMatchObject({ code: 0, stdout: `${stamp} make: *** failed\n` });
  expect(JSON.parse((await run("--run", String(runId), "--json")).stdout)).toMatchObject({
    run_id: runId,
    jobs: [{ job_id: failed, job_name: "build" }, { job_id: passed }, { job_id: skipped }],
  });
});

test("logs says what is wrong with its arguments, and which jobs there are when none failed", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  await archive.archive({ job_id: firstJobId, name: "lint" }, `${stamp} all good\n`);
  const refusal = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli(["logs", ...args], archive.options);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    return stderr;
  };
  expect(await refusal()).toContain("Name a job, or a run with --run");
  expect(await refusal("1", "--run", "2")).toContain("Name a job, or a run with --run");
  expect(await refusal("1", "--failed", "--step", "2")).toContain("--step goes with one job");
  expect(await refusal("https://github.com/acme/app/pull/7")).toContain("must be a job's id, or the address of its page");
  expect(await refusal("--run", "5")).toContain("No completed job of run 5 is known");
  expect(await refusal("7", "--failed")).toContain("No job 7 is known");
  expect(await refusal(String(firstJobId), "--failed")).toContain(
    `No job failed. The jobs are:\n  ${firstJobId}  lint (success)`,
  );
});
