// A GitHub with harmful names everywhere: from webhooks and lists through all workers to every command that prints a name. Names must
// arrive unchanged, and no program may interpret them.

/* oxlint-disable no-control-regex -- control characters are what must not appear */
import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";

import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { listFiles } from "@actions-archive/testkit/invariants/object-source";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";

import { askSql } from "./support/ask-sql.ts";
import { findFreePort } from "./support/free-port.ts";
import { addHostileRun, hostileNames } from "./support/hostile-names.ts";
import { type Ended, mainOf, type Program, runCli, type Settings, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

const names = hostileNames;
const hostile = Object.values(names);
const repository = "octo-org/api";
const renamed = "octo-org/renamed";
const workers = ["fetcher", "log-worker", "loader"] as const;
const secret = "hush";

const resources = new AsyncDisposableStack();
const waitOptions = { timeout: 180_000, interval: 300 };
let workspace: Workspace;
let simulator: Simulator;
let settings: Settings;
let jobIds: readonly number[];
let programs: readonly Program[];
let metrics: readonly string[];

beforeAll(async () => {
  workspace = resources.use(await openWorkspace());
  simulator = resources.use(await startSimulator({ scenario: "empty" }));
  const { control } = simulator;
  jobIds = hostile.map((name) => addHostileRun(simulator, repository, name));
  const { repositoryId } = control.addRun({ repository: renamed });
  const answer = {
    id: repositoryId,
    name: names["escape"],
    full_name: `octo-org/${names["escape"]}\n`,
    owner: { id: 1, login: "octo-org" },
  };
  for (const path of [`/repos/${renamed}`, `/repositories/${repositoryId}`])
    control.addFault({
      origin: "api",
      path,
      times: "forever",
      status: 200,
      body: JSON.stringify(answer),
      headers: { "content-type": "application/json" },
    });
  control.addFault({
    origin: "api",
    path: `/repos/*/actions/jobs/${jobIds[0]}/logs`,
    times: "forever",
    status: 403,
    body: JSON.stringify({ message: names["escape"] }),
  });
  const engines = await engineSettings(workspace);
  const key = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  settings = {
    ...githubSettings(simulator),
    ...engines,
    ARCHIVE_REPOSITORIES: `${repository},${renamed}`,
    GITHUB_WEBHOOK_SECRET: secret,
    SEAL_KEY: key,
    SEAL_INTERVAL_SECONDS: "1",
  };
  const ports = await Promise.all(workers.map(findFreePort));
  const started = workers.map((name, index) =>
    resources.use(
      startProgram(mainOf(name), [], {
        cwd: workspace.folder,
        settings: { ...settings, LOG_LEVEL: "trace", PORT: String(ports[index]) },
      }),
    ),
  );
  programs = started;
  await Promise.all(started.map((program) => program.prints('"msg":"started"')));
  control.setWebhook({ url: `http://127.0.0.1:${ports[0]}/webhooks/github`, secret });
  for (const jobId of jobIds) await control.sendWebhook({ jobId });
  for (const runId of simulator.world.runs.keys()) await control.sendWebhook({ runId });
  const client = new Client({ connectionString: engines["DATABASE_URL"] });
  await client.connect();
  resources.defer(() => client.end());
  await vi.waitFor(async () => {
    const { rows } = await client.query<{ log_state: string; jobs: number; seals: number }>(
      "select log_state, count(*)::int as jobs, (select count(*)::int from audit.seals) as seals from audit.jobs where event is not null group by 1",
    );
    const states = rows.map(({ log_state, jobs, seals }) => `${log_state} ${jobs} ${seals > 0}`).toSorted();
    if (states.join() !== `archived ${hostile.length - 1} true,failed 1 true`) throw new Error(states.join());
  }, waitOptions);
  metrics = await Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()));
  for (const program of started) program.stop("SIGTERM");
  await Promise.all(started.map((program) => program.ended));
});

afterAll(() => resources.disposeAsync());

test("every webhook was taken, names arrive as they are, and values that Postgres cannot store stay distinguishable", async () => {
  const statuses = new Set(simulator.webhooks.deliveries.map(({ statusCode }) => statusCode));
  expect(statuses).toEqual(new Set([202]));
  const rows = await askSql("select job_name, head_branch, runner_name, workflow_name, actor, event from jobs order by job_id", {
    cwd: workspace.folder,
    settings,
  });
  const states = (name: string) => name.toWellFormed().replaceAll("\0", "\uFFFD");
  expect(rows).toEqual(
    hostile.map((name) => {
      const is = states(name);
      return { job_name: is, head_branch: is, runner_name: is, workflow_name: is, actor: is, event: is };
    }),
  );
});

test("keys are made of ids alone", async () => {
  const files = await listFiles(workspace.archive);
  expect(files.length).toBeGreaterThan(2 * hostile.length);
  for (const file of files)
    expect(file).toMatch(
      /^(archive\.json|seals\/\d{12}\.json|probe\/.*|(logs|records|runs)\/github-simulator\/\d+\/\d+\/\.?[\w.]+)$/,
    );
});

test("every line of a worker is one JSON object, and metrics are valid for Prometheus", async () => {
  for (const [index, program] of programs.entries()) {
    const { stdout, stderr, code } = await program.ended;
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    // Start and exit log three lines. The number of others depends on how the work was batched.
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      expect(line).not.toMatch(controlCharacters);
      const { name, level } = z
        .object({ name: z.string(), level: z.int(), msg: z.string(), pid: z.literal(program.pid) })
        .parse(JSON.parse(line));
      expect([name, level]).toEqual([workers[index], expect.toSatisfy((each) => each < 60)]);
    }
  }
  for (const page of metrics)
    for (const line of page.trimEnd().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .*|[a-zA-Z_:][\w:]*(\{(\w+="(\\.|[^"\\])*",?)*\})? (NaN|[-+]?Inf|[-+\d.e]+)|)$/);
});

// All characters that a terminal interprets, except newline and tab.
const controlCharacters = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/;
const colours = /\u001B\[[0-9;:]{0,32}m/g;
const reports = readdirSync(new URL("../packages/database/reports/", import.meta.url)).map((file) => file.replace(/\.sql$/, ""));

async function runAll(
  commands: readonly (readonly string[])[],
  own: Settings = {},
): Promise<readonly (readonly [string, Ended])[]> {
  const left = commands.map((args) => [args.join(" "), args] as const);
  const ended: (readonly [string, Ended])[] = [];
  const run = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      ended.push([next[0], await runCli(next[1], { cwd: workspace.folder, settings: { ...settings, ...own } })]);
  };
  await Promise.all([run(), run()]);
  return ended;
}

const commandsThatName = (): string[][] => [
  ["status"],
  ["gaps"],
  ...reports.filter((name) => name !== "evidence").map((name) => ["report", name]),
  ["report", "actions"],
  ...["jobs", "steps", "annotations", "action_uses", "repositories"].map((view) => ["sql", `select * from ${view}`]),
  ["sql", `select 1 as "${names["escape"]}"`],
  ["search", "c4n4ry"],
  ["retention"],
  ["hold"],
  ["verify", "--against-database"],
  ["backfill", repository, "--dry-run"],
  ["backfill", "list"],
];

test(
  "no command prints what a terminal would obey, as a table or as JSON, and all JSON parses",
  { timeout: 900_000 },
  async () => {
    const commands = commandsThatName();
    const inJson = commands.filter(([name, which = ""]) => name !== "report" || ["failures", "action-uses"].includes(which));
    const evidence = Object.keys(names).flatMap((name, index) =>
      ["escape", "single byte escape", "newline", "direction"].includes(name)
        ? [["report", "evidence", String(jobIds[index]), "--json"]]
        : [],
    );
    const ended = await runAll([...commands, ...inJson.map((args) => [...args, "--json"]), ...evidence, ["retry", "--json"]]);
    for (const [command, { code, stdout, stderr }] of ended) {
      expect([command, code], stderr).toEqual([
        command,
        // A log that GitHub refuses cannot be searched.
        expect.toSatisfy((each) => each === 0 || each === { verify: 1, search: 3 }[command.split(" ")[0] ?? ""]),
      ]);
      const isLog = command.startsWith("search");
      expect(
        (isLog ? stdout.replaceAll(colours, "") : stdout).match(controlCharacters),
        `${command}: ${JSON.stringify(stdout.slice(0, 3_000))}`,
      ).toBeNull();
      expect(stderr.match(controlCharacters), `${command}: ${JSON.stringify(stderr)}`).toBeNull();
      if (!command.endsWith("--json")) continue;
      const documents = isLog ? stdout.trimEnd().split("\n") : [stdout];
      for (const document of documents) expect(JSON.parse(document)).toBeTypeOf("object");
    }
    const printed = ended.map(([, { stdout }]) => stdout).join("\n");
    expect(printed).toContain("^[[2J^[]0;title^G^[[8mhidden");
    expect(printed).toContain("<U+202E>gnp.exe");
  },
);

test("errors, logs and steps escape names", { timeout: 900_000 }, async () => {
  const ended = await runAll([
    ...jobIds.slice(1, 6).map((jobId) => ["logs", String(jobId)]),
    ...jobIds.slice(3, 5).map((jobId) => ["logs", String(jobId), "--step", "9"]),
    ["search", "c4n4ry", "--repository", `octo-org/${names["escape"]}`],
    ["report", `${names["escape"]}`],
    ["sql", `select '${names["escape"]}' from nowhere`],
    ["retry", "--repository", `octo-org/${names["escape"]}`],
    [`${names["escape"]}`],
  ]);
  for (const [command, { stdout, stderr }] of ended) {
    expect(
      stdout.replaceAll(colours, "").match(controlCharacters),
      `${command}: ${JSON.stringify(stdout.slice(0, 3_000))}`,
    ).toBeNull();
    expect(stderr.match(controlCharacters), `${command}: ${JSON.stringify(stderr)}`).toBeNull();
  }
});

/** Runs a command with a terminal for both output streams. */
async function runOnTerminal(args: readonly string[], own: Settings = {}): Promise<string> {
  const quoted = [process.execPath, mainOf("cli"), ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const env = { PATH: "/usr/bin:/bin", HOME: workspace.folder, TERM: "xterm", ...settings, ...own };
  const { stdout } = await promisify(execFile)("script", ["--quiet", "--command", quoted, "/dev/null"], {
    cwd: workspace.folder,
    env,
    maxBuffer: 2 ** 28,
  });
  return stdout;
}

/** The control sequences of our progress bar: hide and show the cursor, return to the start of the line, clear it. */
const bar = /\u001B[78]|\u001B\[\?\d+[lh]|\u001B\[\d*[AGDK]|\r/g;

test("on a terminal CSV is escaped, and progress shows no names", { timeout: 900_000 }, async () => {
  const rebuilt = { DATABASE_URL: await createTestDatabase({ migrated: true }) };
  for (const [args, own] of [
    ...["action-uses", "failures", "runners", "coverage"].map((name) => [["report", name, "--csv"], {}] as const),
    [["verify", "--deep", "--against-database"], {}] as const,
    [["start", "--once", "--max-wait", "1"], {}] as const,
    [["backfill", repository, "--wait", "--max-wait", "1"], {}] as const,
    [["rebuild"], rebuilt] as const,
  ]) {
    const printed = (await runOnTerminal(args, own).catch((error: unknown) => (error as { stdout: string }).stdout)).replaceAll(
      bar,
      "",
    );
    expect(printed.length, args.join(" ")).toBeGreaterThan(0);
    expect(printed.match(controlCharacters), `${args.join(" ")}: ${JSON.stringify(printed.slice(0, 3_000))}`).toBeNull();
  }
});
