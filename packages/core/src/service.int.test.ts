// Exit codes of a process after a signal, wrong settings and a failed start.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { expect, test } from "vitest";

type Ended = { readonly exitCode: number | null; readonly lines: readonly Record<string, unknown>[] };

/** Runs a service with this source of `start`, and sends it `signal` once it has logged "started". */
async function run({ start, load, signal }: { start: string; load?: string; signal?: NodeJS.Signals }): Promise<Ended> {
  const program = `
    import { ConfigError } from "./errors.ts";
    import { runService } from "./service.ts";
    const keepAlive = setInterval(() => undefined, 60_000);
    const load = () => { ${load ?? ""}; return { LOG_LEVEL: "info", SHUTDOWN_GRACE_SECONDS: 1 }; };
    await runService("test", load, async (config, { log, resources }) => {
      resources.defer(() => clearInterval(keepAlive));
      ${start}
    });
    clearInterval(keepAlive);
  `;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines: Record<string, unknown>[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Record<string, unknown>;
    lines.push(line);
    if (line["msg"] === "started" && signal !== undefined) child.kill(signal);
  }
  const [exitCode] = (await exited) as [number | null];
  return { exitCode, lines };
}

const messagesOf = ({ lines }: Ended) => lines.map((line) => String(line["msg"]));

test.concurrent.each(["SIGTERM", "SIGINT"] as const)(
  "%s closes what was opened, last first, and the process ends with 0",
  async (signal) => {
    const start = `
    resources.defer(() => log.info("database closed"));
    resources.defer(async () => { await new Promise((done) => setTimeout(done, 50)); log.info("consumer closed"); });
  `;
    const ended = await run({ start, signal });
    expect(ended.exitCode).toBe(0);
    expect(messagesOf(ended)).toEqual(["started", "stopping", "consumer closed", "database closed", "stopped"]);
  },
);

test.concurrent("wrong settings end the process with 78 and say which, without a stack", async () => {
  const ended = await run({ start: "", load: `throw new ConfigError("PORT: must be a port")` });
  expect(ended.exitCode).toBe(78);
  expect(ended.lines).toMatchObject([{ level: 60, msg: "PORT: must be a port" }]);
  expect(ended.lines[0]).not.toHaveProperty("err");
});

test.concurrent("an engine that is refused at the start ends the process with 78, and closes open resources", async () => {
  const ended = await run({ start: `resources.defer(() => log.info("closed")); throw new ConfigError("Redis evicts");` });
  expect(ended.exitCode).toBe(78);
  // A fatal line is written at once and may overtake those before it.
  expect(new Set(messagesOf(ended))).toEqual(new Set(["Redis evicts", "closed"]));
});

test.concurrent("a failed start ends the process with 2", async () => {
  const ended = await run({ start: `throw new Error("out of luck");` });
  expect(ended.exitCode).toBe(2);
  expect(ended.lines).toMatchObject([{ level: 60, msg: "failed to run", err: { message: "out of luck" } }]);
});

test.concurrent("a failed start that leaves something running ends the process all the same", async () => {
  const ended = await run({ start: `setInterval(() => undefined, 60_000); throw new Error("out of luck");` });
  expect(ended.exitCode).toBe(2);
  expect(new Set(messagesOf(ended))).toEqual(new Set(["failed to run", "shutdown deadline passed"]));
});

test.concurrent("work that outlasts SHUTDOWN_GRACE_SECONDS is abandoned, and the process ends with 2", async () => {
  const ended = await run({ start: `resources.defer(() => new Promise(() => undefined));`, signal: "SIGTERM" });
  expect(ended.exitCode).toBe(2);
  expect(new Set(messagesOf(ended))).toEqual(new Set(["shutdown deadline passed", "started", "stopping"]));
});

test.concurrent("an unhandled rejection ends the process, and not with 0", async () => {
  const child = spawn(
    process.execPath,
    [
      "--input-type=module-typescript",
      "--eval",
      `
    import { runService } from "./service.ts";
    const keepAlive = setInterval(() => undefined, 60_000);
    await runService("test", () => ({ LOG_LEVEL: "info", SHUTDOWN_GRACE_SECONDS: 1 }), async () => {
      void Promise.reject(new Error("forgotten"));
    });
  `,
    ],
    { cwd: import.meta.dirname, stdio: "ignore" },
  );
  const [exitCode] = (await once(child, "exit")) as [number | null];
  expect(exitCode).toBe(1);
});
