// Help answers at once: no command's dependencies are loaded for the list of commands.

import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { mainOf, runCli } from "./support/processes.ts";
import { openWorkspace } from "./support/workspace.ts";

const run = promisify(execFile);
const reportUsage = `data:text/javascript,process.on("exit",()=>{const u=process.resourceUsage();process.stderr.write(String(u.userCPUTime+u.systemCPUTime))})`;

async function cpuSeconds(args: readonly string[], cache: string): Promise<number> {
  const env = { PATH: "/usr/bin:/bin", XDG_CACHE_HOME: cache };
  const { stderr } = await run(process.execPath, ["--import", reportUsage, mainOf("cli"), ...args], { env });
  return Number(stderr) / 1e6;
}

test("the list of commands takes under 0.5 s of CPU, and help of a command is compiled once", async () => {
  const cache = await mkdtemp(join(tmpdir(), "help-"));
  await using _removed = { [Symbol.asyncDispose]: () => rm(cache, { recursive: true }) };
  const best = async (args: readonly string[]) =>
    Math.min(await cpuSeconds(args, cache), await cpuSeconds(args, cache), await cpuSeconds(args, cache));
  expect(await best(["--help"])).toBeLessThan(0.5);
  expect(await best(["status", "--help"])).toBeLessThan(2);
  expect(await readdir(cache)).toEqual(["actions-archive"]);
});

test("a mistyped command is suggested, and help NAME is the help of the command", async () => {
  await using workspace = await openWorkspace();
  const options = { cwd: workspace.folder, settings: {} };
  const mistyped = await runCli(["statsu"], options);
  expect(mistyped).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean status?") as string });
  expect((await runCli(["help", "status"], options)).stdout).toBe((await runCli(["status", "--help"], options)).stdout);
});

test("an argument that an action refuses is named", async () => {
  await using workspace = await openWorkspace();
  const { code, stderr } = await runCli(["seal", "--next-key", "/nope"], { cwd: workspace.folder, settings: {} });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^error: --next-key \/nope must name a file/);
});
