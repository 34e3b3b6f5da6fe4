// A secret that reaches a log line by mistake is not written.

import { expect, test } from "vitest";

import { createLogger } from "./logger.ts";
import type { settings } from "./settings.ts";

function capture(): { readonly lines: string[]; readonly log: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  return { lines, log: createLogger("test", "info", { write: (line) => void lines.push(line) }) };
}

const secretSettings = [
  "GITHUB_TOKEN",
  "GITHUB_APP_PRIVATE_KEY",
  "GITHUB_APP_PRIVATE_KEY_FILE",
  "DATABASE_URL",
  "QUEUE_URL",
] satisfies (keyof typeof settings)[];

test.each(secretSettings)("%s is not written, neither alone nor in a configuration", (name) => {
  const { lines, log } = capture();
  log.info({ [name]: "hunter2" }, "alone");
  log.info({ config: { [name]: "hunter2" } }, "in a configuration");
  expect(lines.join("")).not.toContain("hunter2");
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { msg: "alone" },
    { config: { [name]: "[redacted]" } },
  ]);
});

test("a credential in headers is not written", () => {
  const { lines, log } = capture();
  log.info({ authorization: "Bearer hunter2", token: "hunter2" }, "alone");
  log.info({ headers: { authorization: "Bearer hunter2" }, credential: { token: "hunter2" } }, "in an object");
  log.info({ request: { headers: { authorization: "Bearer hunter2" } } }, "in a request");
  log.child({ token: "hunter2" }).info("in a child");
  expect(lines).toHaveLength(4);
  expect(lines.join("")).not.toContain("hunter2");
});

test("an error is written with its class, code and cause", () => {
  const { lines, log } = capture();
  log.error({ err: Object.assign(new Error("outer", { cause: new Error("inner") }), { code: "store/refused" }) }, "failed");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: 50,
    name: "test",
    err: { code: "store/refused", message: "outer: inner" },
  });
});

test("foreign fields of an error are not logged", () => {
  const { lines, log } = capture();
  const command = { name: "auth", args: ["default", "hunter2"] };
  const refused = () => Object.assign(new Error("WRONGPASS"), { command, code: "ERR" });
  log.error({ err: refused() }, "alone");
  log.error({ err: new AggregateError([refused(), refused()], "both") }, "together");
  log.error({ err: new Error("outer", { cause: refused() }) }, "as a cause");
  expect(lines.join("")).not.toContain("hunter2");
  const inner = { code: "ERR", message: "WRONGPASS" };
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { err: inner },
    { err: { aggregateErrors: [inner, inner] } },
    { err: { message: "outer: WRONGPASS" } },
  ]);
});

test("a log line is one JSON object without control characters, whatever its values", () => {
  const { lines, log } = capture();
  const hostile = '\n{"level":60}\r\u001B[2J\u009B31m\u202Egnp\u2028\uFEFF\0\uD800 é 🦀';
  log.info({ repository: hostile, err: new Error(hostile) }, "named");
  expect(lines).toHaveLength(1);
  // oxlint-disable-next-line no-control-regex -- these must not occur
  expect(lines[0]?.trimEnd()).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u2028\u202E\uFEFF]|\p{Surrogate}/u);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: 30, repository: hostile, err: { message: hostile } });
});
