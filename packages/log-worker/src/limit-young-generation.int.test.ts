// Node processes with the limit from different command lines and environments.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

import { expect, test } from "vitest";

const module = new URL("./limit-young-generation.ts", import.meta.url).href;
const script = `
  import { getHeapSpaceStatistics } from "node:v8";
  import { limitYoungGeneration } from "${module}";
  limitYoungGeneration();
  const kept = [];
  for (let count = 0; count < 3_000_000; count++) kept[count % 100_000] = { count };
  const { space_size } = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
  console.log(JSON.stringify({ pid: process.pid, options: process.execArgv, argument: process.argv.at(-1), MiB: space_size / 2 ** 20 }));
`;

async function runNode(options: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const args = [...options, "--input-type=module", "--eval", script, "argument"];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const [printed] = await Promise.all([text(child.stdout), once(child, "exit")]);
  // What the script above prints.
  const found = JSON.parse(printed) as { pid: number; options: string[]; argument: string; MiB: number };
  return { ...found, isSameProcess: found.pid === child.pid };
}

test("the process keeps its pid, options and arguments, with at most 8 MiB of young objects", async () => {
  const found = await runNode(["--no-warnings"]);
  expect(found).toMatchObject({ isSameProcess: true, argument: "argument" });
  expect(found.options).toEqual(expect.arrayContaining(["--max-semi-space-size=4", "--no-warnings"]));
  expect(found.MiB).toBeLessThanOrEqual(8);
});

test("a limit from the command line or NODE_OPTIONS is kept", async () => {
  const flag = "--max-semi-space-size=16";
  const [fromCommand, fromEnvironment] = await Promise.all([runNode([flag]), runNode([], { NODE_OPTIONS: flag })]);
  expect([fromCommand, fromEnvironment].map(({ MiB }) => MiB)).toEqual([32, 32]);
});
