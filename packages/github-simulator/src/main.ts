// The simulator as a program: prints one line of JSON with its URLs when it is ready, and exits with 0 on SIGTERM or SIGINT.

import { once } from "node:events";

import { Command, InvalidArgumentError, Option } from "commander";

import type { SimulatorOptions } from "./options.ts";
import { startSimulator } from "./simulator.ts";
import { documentedExample } from "./world/documented-example.ts";

type Flags = {
  seed: number;
  face: "github.com" | "ghes";
  ghesVersion?: string;
  scenario: "generated" | "demo" | "month" | "empty";
  scale: number;
  owners: number;
  repositories: number;
  runsPerDay: number;
  days: number;
  jobsPerRun: number;
  cases: "all" | "plain";
  logMedian?: number;
  logCap?: number;
  live: boolean;
  clockStart?: Date;
  clockSpeed: number;
  port: number;
  logPort: number;
  controlPort: number;
  linkLifetime: number;
  logDelay: number;
  replay?: string;
  documentedExample: boolean;
  webhookUrl?: string;
  webhookSecret?: string;
  rateLimit?: number;
  appId?: number;
  appPublicKey?: string;
  token?: string;
};

const program = new Command("github-simulator")
  .description("A GitHub Actions API on this machine")
  .option("--seed <n>", "the same seed and clock start give the same world", number, 1)
  .addOption(new Option("--face <face>").choices(["github.com", "ghes"]).default("github.com"))
  .option("--ghes-version <version>", "what a GHES says it is")
  .addOption(new Option("--scenario <name>").choices(["generated", "demo", "month", "empty"]).default("generated"))
  .option("--scale <n>", "of the month: 1 is 40,000 runs", number, 1)
  .option("--owners <n>", "organisations", number, 1)
  .option("--repositories <n>", "repositories", number, 2)
  .option("--runs-per-day <n>", "per repository", number, 5)
  .option("--days <n>", "days of history", number, 2)
  .option("--jobs-per-run <n>", "jobs of an ordinary run", number, 4)
  .addOption(
    new Option("--cases <which>", "all kinds of runs, or plain ones for measuring").choices(["all", "plain"]).default("all"),
  )
  .option("--log-median <bytes>", "middle size of a log", number)
  .option("--log-cap <bytes>", "largest log", number)
  .option("--live", "new runs keep arriving", false)
  .option("--clock-start <time>", "ISO time; now when left out", date)
  .option("--clock-speed <n>", "0 frozen, 1 real, more is faster", number, 1)
  .option("--port <n>", "API; 0 takes a free one", number, 0)
  .option("--log-port <n>", "log host", number, 0)
  .option("--control-port <n>", "control interface", number, 0)
  .option("--link-lifetime <seconds>", "how long a link to a log works", number, 60)
  .option("--log-delay <seconds>", "from a job's end to its log", number, 0)
  .option("--replay <dir>", "serve recorded job objects and logs instead of a generated world")
  .option("--documented-example", "add the job of GitHub's REST reference", false)
  .option("--webhook-url <url>", "where deliveries go")
  .option("--webhook-secret <secret>")
  .option("--rate-limit <n>", "requests per hour", number)
  .option("--app-id <n>", "be host to an App", number)
  .option("--app-public-key <pem>", "its public key; a pair is made and printed when left out")
  .option("--token <token>", "the credential to accept")
  .addHelpText(
    "after",
    "\nExample:\n  node packages/github-simulator/src/main.ts --seed 1 --repositories 5 --runs-per-day 20 --port 8080",
  )
  .action(async (flags: Flags) => serve(optionsOf(flags)));

async function serve(options: SimulatorOptions): Promise<void> {
  const stop = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
  await using simulator = await startSimulator(options);
  const { apiUrl, logOrigin, controlUrl, token, app } = simulator;
  const repositories = simulator.world.repositories.map((each) => `${each.owner.login}/${each.name}`);
  const keys = app === undefined ? {} : { appId: app.id, appPrivateKey: app.privateKey };
  process.stdout.write(
    `${JSON.stringify({ apiUrl, logOrigin, controlUrl, token, ...keys, repositories, jobs: simulator.world.jobs.size })}\n`,
  );
  await stop;
}

function optionsOf(flags: Flags): SimulatorOptions {
  const { seed, face, scenario, scale, owners, repositories, runsPerDay, days, jobsPerRun, cases, live, clockSpeed } = flags;
  const logs = {
    ...(flags.logMedian === undefined ? {} : { medianBytes: flags.logMedian }),
    ...(flags.logCap === undefined ? {} : { capBytes: flags.logCap }),
  };
  return {
    seed,
    face,
    scenario,
    scale,
    owners,
    repositories,
    runsPerDay,
    days,
    jobsPerRun,
    cases,
    live,
    clockSpeed,
    logs,
    ports: { api: flags.port, log: flags.logPort, control: flags.controlPort },
    linkLifetimeSeconds: flags.linkLifetime,
    logDelaySeconds: flags.logDelay,
    ...(flags.ghesVersion === undefined ? {} : { ghesVersion: flags.ghesVersion }),
    ...(flags.clockStart === undefined ? {} : { clockStart: flags.clockStart }),
    ...(flags.replay === undefined ? {} : { replayDir: flags.replay }),
    ...(flags.documentedExample ? { extraJobs: [documentedExample()] } : {}),
    ...(flags.webhookUrl === undefined ? {} : { webhook: { url: flags.webhookUrl, secret: flags.webhookSecret ?? "" } }),
    ...(flags.rateLimit === undefined ? {} : { rateLimits: { perHour: flags.rateLimit } }),
    ...(flags.appId === undefined
      ? {}
      : { app: { id: flags.appId, ...(flags.appPublicKey === undefined ? {} : { publicKey: flags.appPublicKey }) } }),
    ...(flags.token === undefined ? {} : { credentials: [{ token: flags.token }] }),
  };
}

function number(text: string): number {
  const parsed = Number(text);
  if (text.trim() === "" || Number.isNaN(parsed)) throw new InvalidArgumentError("not a number");
  return parsed;
}

function date(text: string): Date {
  const parsed = new Date(text);
  if (Number.isNaN(parsed.getTime())) throw new InvalidArgumentError("not a time");
  return parsed;
}

await program.parseAsync();
