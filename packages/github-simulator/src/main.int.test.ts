// The simulator's program: prints one line when it is ready, and exits with 0 when it is stopped.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { expect, test } from "vitest";

const program = new URL("./main.ts", import.meta.url).pathname;

test("the program prints its URLs and token, serves them, and ends with 0 on SIGTERM", async () => {
  const child = spawn(process.execPath, [program, "--seed", "3", "--repositories", "2", "--days", "1"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const { apiUrl, token, repositories } = JSON.parse(String(line));
  const answer = await fetch(`${apiUrl}/repos/${repositories[0]}`, { headers: { authorization: `Bearer ${token}` } });
  expect(await answer.json()).toMatchObject({ full_name: repositories[0] });
  child.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
});

test("a wrong flag is refused with its name", async () => {
  const child = spawn(process.execPath, [program, "--seed", "many"], { stdio: ["ignore", "ignore", "pipe"] });
  const [[code], [message]] = await Promise.all([once(child, "exit"), once(child.stderr, "data")]);
  expect([code, String(message)]).toEqual([1, expect.stringContaining("--seed")]);
});
