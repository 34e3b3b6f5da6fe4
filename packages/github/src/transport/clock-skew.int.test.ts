// GitHub's Date compared with the reference clock: answers that are ahead and behind, once and for good.

import { generateKeyPairSync } from "node:crypto";

import { createLogger } from "@actions-archive/core/logger";
import { expect, test } from "vitest";

import { startScriptedServer } from "../../test-support/scripted-server.ts";
import type { Credentials } from "../credentials/credential-store.ts";
import { getRepository } from "../endpoints/repositories.ts";
import { getJob } from "../endpoints/workflow-jobs.ts";
import { getRun, getRunAttempt, listNewestRuns } from "../endpoints/workflow-runs.ts";
import { openGitHub } from "../github.ts";
import { requestJobLog } from "../log/job-log.ts";
import { describeSkew, trustedDate } from "./clock-skew.ts";
import { createProcessBudget } from "./process-budget.ts";

const minute = 60_000;
const app = { id: 1, name: "app", full_name: "octo/app", owner: { id: 1, login: "octo" }, private: false };
const run = { id: 3, run_attempt: 1, status: "completed", created_at: "2026-01-01T00:00:00Z", repository: app };
const job = { id: 7, run_id: 3, name: "build", status: "completed" };
const repository = "octo/app";

/** Answers by path; `dateOf` gives the Date header of each request, in order, or none. */
async function openSkewed(
  dateOf: (index: number) => Date | undefined,
  {
    now = () => new Date(),
    credentials = { kind: "token", token: "canary" },
  }: { now?: () => Date; credentials?: Credentials } = {},
) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    await startScriptedServer(({ url = "", headers: { "if-none-match": known } }, response, index) => {
      const date = dateOf(index);
      response.sendDate = false;
      const headers = { etag: '"1"', ...(date === undefined ? {} : { date: date.toUTCString() }) };
      if (known !== undefined) return { status: 304, headers };
      if (url.endsWith("/logs")) return { status: 404, body: { message: "Not Found" }, headers };
      if (url.includes("/jobs/")) return { body: job, headers };
      if (url.startsWith("/app/installations?"))
        return { body: [{ id: 31, account: { login: "octo" }, suspended_at: null }], headers };
      if (url.startsWith("/app/"))
        return { status: 201, body: { token: "ghs_1", expires_at: new Date((date ?? now()).getTime() + 60 * minute) }, headers };
      return { body: url.includes("/runs?") ? { workflow_runs: [run] } : url.includes("/runs/") ? run : app, headers };
    }),
  );
  const recorded: [string, number | undefined][] = [];
  const lines: Record<string, unknown>[] = [];
  const budget = createProcessBudget({ now });
  const github = stack.use(
    openGitHub({
      apiUrl: new URL(server.origin),
      credentials,
      logHosts: [],
      budget: { ...budget, clock: { ...budget.clock, recordSkew: async (...skew) => void recorded.push(skew) } },
      log: createLogger("test", "info", { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
    }),
  );
  const opened = stack.move();
  return {
    github,
    server,
    recorded,
    lines,
    host: new URL(server.origin).host,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const shifted = (ms: number) => new Date(Date.now() + ms);
const askForDates = {
  listNewestRuns: (github: Parameters<typeof getRun>[0]) => listNewestRuns(github, { repository }),
  "a conditional listNewestRuns": (github: Parameters<typeof getRun>[0]) => listNewestRuns(github, { repository, etag: '"1"' }),
  getRun: (github: Parameters<typeof getRun>[0]) => getRun(github, { repository, runId: 3 }),
  getRunAttempt: (github: Parameters<typeof getRun>[0]) => getRunAttempt(github, { repository, runId: 3, runAttempt: 1 }),
  requestJobLog: (github: Parameters<typeof getRun>[0]) => requestJobLog(github, { repository, jobId: 7 }),
};

test.each(
  Object.entries(askForDates).flatMap(([name, ask]) => [10 * minute, -10 * minute].map((skewMs) => ({ name, skewMs, ask }))),
)("one Date of $name that is $skewMs ms wrong is healed by a retry", async ({ ask, skewMs }) => {
  await using world = await openSkewed((index) => shifted(index === 0 ? skewMs : 0));
  const answer = await ask(world.github);
  expect(answer.skewMs).toBeUndefined();
  expect(Math.abs(trustedDate(world.github, answer).getTime() - Date.now())).toBeLessThan(minute);
  expect(Math.abs(world.github.now().getTime() - Date.now())).toBeLessThan(minute);
  expect(world.server.journal).toHaveLength(2);
  expect([world.recorded, world.lines]).toEqual([[[world.host, undefined]], []]);
});

test.each([
  ["ahead of", 598_000],
  ["behind", -598_000],
])("a Date that stays %s the clock is refused, its data is not", async (words, skewMs) => {
  await using world = await openSkewed(() => shifted(skewMs));
  const { github, server, recorded, lines, host } = world;
  const answer = await getRun(github, { repository, runId: 3 });
  expect(answer.data.id).toBe(3);
  expect(Math.abs((answer.skewMs ?? 0) - skewMs)).toBeLessThan(2_000);
  expect(server.journal).toHaveLength(3);
  const refused = expect.objectContaining({ code: "github/clock-skew" });
  expect(() => trustedDate(github, answer)).toThrow(refused);
  expect(() => trustedDate(github, answer)).toThrow(`The Date header of ${host} is 9 min `);
  expect(() => trustedDate(github, answer)).toThrow(`s ${words} the database's clock`);
  expect(Math.abs(github.now().getTime() - Date.now())).toBeLessThan(1_000);

  // While it lasts, a request is sent once, and nothing is logged.
  await getRun(github, { repository, runId: 3 });
  expect(server.journal).toHaveLength(4);
  expect(recorded).toEqual([[host, expect.any(Number)]]);
  expect(lines).toEqual([expect.objectContaining({ level: 40, msg: "clock skew", host, skewSeconds: expect.any(Number) })]);
});

test("the first accepted Date ends a skew, and the next one is a new one", async () => {
  await using world = await openSkewed((index) => shifted(index === 3 ? 0 : 10 * minute));
  const { github, recorded, lines, host } = world;
  for (let asked = 0; asked < 3; asked++) await getRun(github, { repository, runId: 3 });
  expect(lines.map(({ msg }) => msg)).toEqual(["clock skew", "clock skew ended", "clock skew"]);
  expect(recorded).toEqual([
    [host, expect.any(Number)],
    [host, undefined],
    [host, expect.any(Number)],
  ]);
});

test("a skew that an earlier process recorded ends with the first accepted Date, which is recorded once", async () => {
  await using world = await openSkewed(() => shifted(0));
  for (let asked = 0; asked < 3; asked++) await getRun(world.github, { repository, runId: 3 });
  expect([world.recorded, world.lines]).toEqual([[[world.host, undefined]], []]);
});

test("a response to a request that needs no date is not retried, and its Date is marked as skewed", async () => {
  await using world = await openSkewed(() => shifted(10 * minute));
  expect((await getJob(world.github, { repository, jobId: 7 })).skewMs).toBeGreaterThan(9 * minute);
  expect(world.server.journal).toHaveLength(1);
  expect(world.recorded).toEqual([]);
});

test("a repository that did not change since is not dated by its first answer", async () => {
  await using world = await openSkewed((index) => shifted(index === 0 ? 0 : 10 * minute));
  expect((await getRepository(world.github, { repository })).skewMs).toBeUndefined();
  expect((await getRepository(world.github, { repository })).skewMs).toBeGreaterThan(9 * minute);
});

test("a Date within five minutes of the clock is accepted", async () => {
  await using world = await openSkewed((index) => shifted(index === 0 ? 299_000 : -298_000));
  for (let asked = 0; asked < 2; asked++) expect((await getRun(world.github, { repository, runId: 3 })).skewMs).toBeUndefined();
  expect(world.server.journal).toHaveLength(2);
});

test("an answer without a Date is dated by the reference clock", async () => {
  const reference = new Date("2026-05-01T00:00:00Z");
  await using world = await openSkewed(() => undefined, { now: () => reference });
  const answer = await getRun(world.github, { repository, runId: 3 });
  expect([answer.date, answer.skewMs]).toEqual([reference, undefined]);
  expect(world.github.now()).toEqual(reference);
});

test("a clock that moved on by more than this machine saw is read again before a Date is called ahead", async () => {
  const budget = createProcessBudget();
  const beforeSuspension = shifted(-60 * minute);
  const clock = { ...budget.clock, now: () => beforeSuspension };
  await using server = await startScriptedServer(() => ({ body: run }));
  const credentials = { kind: "token", token: "canary" } as const;
  const log = createLogger("test", "silent");
  const apiUrl = new URL(server.origin);
  await using github = openGitHub({ apiUrl, credentials, logHosts: [], budget: { ...budget, clock }, log });
  expect((await getRun(github, { repository, runId: 3 })).skewMs).toBeUndefined();
});

test("an App's token is signed by GitHub's clock, however wrong that is", async () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs1", format: "pem" });
  await using world = await openSkewed(() => shifted(-120 * minute), {
    credentials: { kind: "app", appId: "99", privateKey: pem },
  });
  await getRun(world.github, { repository, runId: 3 });
  const [, second] = world.server.journal.filter(({ path }) => path.startsWith("/app/"));
  const [, payload = ""] = (second?.headers.authorization ?? "").split(".");
  const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { exp: number };
  expect(Math.abs(exp - shifted(-120 * minute).getTime() / 1_000 - 540)).toBeLessThan(10);
  expect(Math.abs(world.github.now().getTime() - Date.now())).toBeLessThan(1_000);
});

test.each([
  [598_000, "9 min 58 s ahead of"],
  [-300_400, "5 min behind"],
  [7_380_000, "2 h 3 min ahead of"],
  [-90_000_000, "1 d 1 h behind"],
])("%d ms is %s", (skewMs, words) => {
  expect(describeSkew(skewMs)).toBe(words);
});
