// Every secret setting contains a unique word. The workers run, serve all that they expose, and fail in every way that involves a secret.
// None of the words may appear in any output.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";

import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { Redis } from "ioredis";
import { Client } from "pg";
import { expect, test, vi } from "vitest";

import { findFreePort } from "./support/free-port.ts";
import { mainOf, type Program, runCli, type Settings, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const workers = ["fetcher", "log-worker", "loader"] as const;
const waitOptions = { timeout: 60_000, interval: 100 };

const token = "ghp_c4n4ryToken7c9e6679f7425040de944be07f";
const canaries: Readonly<Record<string, string>> = {
  token,
  "webhook secret": "c4n4ryWebhookSecret",
  "other webhook secret": "c4n4ryOtherSecret",
  "database password": "c4n4ryDatabasePassword",
  "Redis password": "c4n4ryRedisPassword",
  "AWS access key": "AKIAC4N4RYACCESSKEY0",
  "AWS secret key": "c4n4rySecretAccessKey",
  "AWS session token": "c4n4rySessionToken",
};
const keys = {
  seal: generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }),
  app: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }),
};
/** @returns the first line of a PEM's body; of a sealing key that is all of it. */
const bodyOf = (pem: string) => pem.split("\n")[1] ?? pem;

const secrets: Settings = {
  GITHUB_WEBHOOK_SECRET: `${canaries["webhook secret"]},${canaries["other webhook secret"]}`,
  AWS_ACCESS_KEY_ID: canaries["AWS access key"] ?? "",
  AWS_SECRET_ACCESS_KEY: canaries["AWS secret key"] ?? "",
  AWS_SESSION_TOKEN: canaries["AWS session token"] ?? "",
  AWS_REGION: "us-east-1",
  SEAL_KEY: keys.seal,
  LOG_LEVEL: "trace",
};

function expectNoSecret(places: Readonly<Record<string, string>>): void {
  const words = { ...canaries, "seal key": bodyOf(keys.seal), "App's key": bodyOf(keys.app) };
  for (const [place, text] of Object.entries(places)) {
    expect(text.length, place).toBeGreaterThan(0);
    for (const [name, word] of Object.entries(words)) expect(text.includes(word), `the ${name} in ${place}: ${text}`).toBe(false);
  }
}

const withPassword = (url: string, password: string | undefined, user?: string) => {
  const parsed = new URL(url);
  parsed.password = password ?? "";
  if (user !== undefined) parsed.username = user;
  return parsed.href;
};

/** @returns what `ps` shows of every process on this machine. */
async function listProcesses(): Promise<string> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.map((line) => line.replaceAll("\0", " ")).join("\n");
}

async function outputOf(program: Program): Promise<string> {
  program.stop("SIGTERM");
  const { stdout, stderr } = await program.ended;
  return stdout + stderr;
}

test("running workers show no secret, also when GitHub echoes it or an engine refuses it", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty", credentials: [{ token }] });
  const { jobIds } = simulator.control.addRun({ repository: "octo-org/api", jobs: [{ name: "build" }, { name: "test" }] });
  const echo = { status: 403, body: JSON.stringify({ message: `Bad credentials: Bearer ${token}`, documentation_url: token }) };
  simulator.control.addFault({ origin: "api", path: `/repos/*/actions/jobs/${jobIds[1]}/logs`, times: "forever", ...echo });
  simulator.control.addFault({ origin: "api", path: "/repos/*/actions/runs", times: 2, ...echo, status: 500 });
  const engines = await engineSettings(workspace);
  const admin = new Redis(engines["QUEUE_URL"] ?? "");
  const user = `canary-${randomBytes(4).toString("hex")}`;
  await admin.acl("SETUSER", user, "on", `>${canaries["Redis password"]}`, "~*", "&*", "+@all");
  try {
    const settings = {
      ...githubSettings(simulator),
      ...engines,
      ...secrets,
      QUEUE_URL: withPassword(engines["QUEUE_URL"] ?? "", canaries["Redis password"], user),
      POLL_INTERVAL_SECONDS: "1",
    };
    const ports = await Promise.all(workers.map(findFreePort));
    await using stack = new AsyncDisposableStack();
    const programs = workers.map((name, index) =>
      stack.use(startProgram(mainOf(name), [], { cwd: workspace.folder, settings: { ...settings, PORT: String(ports[index]) } })),
    );
    await Promise.all(programs.map((program) => program.prints('"msg":"started"')));
    await using client = await openClient(engines["DATABASE_URL"] ?? "");
    await vi.waitFor(async () => {
      const { rows } = await client.query("select log_state from audit.jobs order by job_id");
      expect(rows).toEqual([{ log_state: "archived" }, { log_state: "failed" }]);
    }, waitOptions);

    const places: Record<string, string> = { processes: await listProcesses() };
    const visit = async (when: string) => {
      for (const [index, name] of workers.entries())
        for (const path of ["/livez", "/readyz", "/metrics"])
          places[`${path} of ${name} ${when}`] = await (await fetch(`http://127.0.0.1:${ports[index]}${path}`)).text();
    };
    await visit("at work");
    const { rows } = await client.query<{ text: string }>("select string_agg(a::text, ' ') as text from pg_stat_activity a");
    places["pg_stat_activity"] = rows[0]?.text ?? "";
    places["CLIENT LIST"] = String(await admin.client("LIST"));

    // Ends the workers' sessions. Each worker sends its password again, and is refused.
    await admin.acl("SETUSER", user, "resetpass", ">another");
    await admin.client("KILL", "USER", user);
    for (const program of programs) await vi.waitFor(() => expect(program.printed()).toContain("WRONGPASS"), waitOptions);
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
    await visit("cut off");
    const outputs = await Promise.all(programs.map(outputOf));
    for (const [index, name] of workers.entries()) places[`output of ${name}`] = outputs[index] ?? "";
    expect(outputs[1]).toContain("log failed");
    expectNoSecret(places);
  } finally {
    await admin.acl("DELUSER", user);
    admin.disconnect();
  }
});

async function openClient(connectionString: string): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString });
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** Starts an S3 server that echoes the whole request in its answer, as a proxy's error page may. */
async function openEcho(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(403, { "content-type": "application/xml" });
    const echo = JSON.stringify(request.rawHeaders);
    response.end(
      `<Error><Code>SignatureDoesNotMatch</Code><Message>${echo}</Message><AWSAccessKeyId>${canaries["AWS access key"]}</AWSAccessKeyId><StringToSign>${echo}</StringToSign></Error>`,
    );
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  // The address of a TCP server is an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      const { promise: closed, resolve: close } = Promise.withResolvers<void>();
      server.close(() => close());
      await closed;
    },
  };
}

test("a start that an engine refuses says so without the secret that was refused", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty", credentials: [{ token }] });
  simulator.control.addRun({ repository: "octo-org/api" });
  await using echo = await openEcho();
  const good: Settings = {
    ...githubSettings(simulator),
    ...(await engineSettings(workspace)),
    ...secrets,
    SHUTDOWN_GRACE_SECONDS: "2",
  };
  const { GITHUB_TOKEN: _, ...withoutToken } = good;
  const redis = good["QUEUE_URL"] ?? "";
  const refused: readonly (readonly [what: string, said: RegExp, settings: Settings])[] = [
    [
      "a database password",
      /password authentication failed/,
      { ...good, DATABASE_URL: withPassword(good["DATABASE_URL"] ?? "", canaries["database password"]) },
    ],
    [
      "a database that is not there",
      /ECONNREFUSED/,
      { ...good, DATABASE_URL: `postgres://archive:${canaries["database password"]}@127.0.0.1:9/archive` },
    ],
    [
      "an unknown database",
      /ENOTFOUND|EAI_AGAIN/,
      { ...good, DATABASE_URL: `postgres://archive:${canaries["database password"]}@no.invalid/archive` },
    ],
    [
      "a database without such a setting",
      /./,
      { ...good, DATABASE_URL: `${good["DATABASE_URL"]}?sslmode=${canaries["database password"]}` },
    ],
    [
      "a Redis password",
      /does not answer: WRONGPASS/,
      { ...good, QUEUE_URL: withPassword(redis, canaries["Redis password"], "nobody") },
    ],
    [
      "a Redis that is not there",
      /ECONNREFUSED/,
      { ...good, QUEUE_URL: `redis://default:${canaries["Redis password"]}@127.0.0.1:9` },
    ],
    ["a queue of another kind", /QUEUE_URL/, { ...good, QUEUE_URL: `amqp://default:${canaries["Redis password"]}@127.0.0.1:9` }],
    [
      "an S3 that repeats its request",
      /SignatureDoesNotMatch|403/,
      { ...good, ARCHIVE_URL: "s3://bucket/prefix", S3_ENDPOINT: echo.url, S3_FORCE_PATH_STYLE: "true" },
    ],
    [
      "an App's key that is none",
      /GITHUB_APP_PRIVATE_KEY/,
      { ...withoutToken, GITHUB_APP_ID: "1", GITHUB_APP_PRIVATE_KEY: bodyOf(keys.app) },
    ],
    ["a seal key that is none", /SEAL_KEY/, { ...good, SEAL_KEY: bodyOf(keys.seal) }],
    ["a token of two lines", /./, { ...good, GITHUB_TOKEN: `${token}\nx` }],
  ];
  const places: Record<string, string> = {};
  for (const [what, said, settings] of refused) {
    const { code, stdout, stderr } = await runCli(["start", "--once", "--max-wait", "1"], { cwd: workspace.folder, settings });
    places[what] = `${code} ${stdout}${stderr}`;
    expect([code, places[what]], what).toEqual([expect.toSatisfy((each) => each !== 0), expect.stringMatching(said)]);
  }
  expectNoSecret(places);
});

test("an App's key appears in no output, also when GitHub echoes what was signed with it", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty", credentials: [{ token }] });
  simulator.control.addRun({ repository: "octo-org/api" });
  const { GITHUB_TOKEN: _, ...github } = githubSettings(simulator);
  const settings = {
    ...github,
    ...(await engineSettings(workspace)),
    ...secrets,
    GITHUB_APP_ID: "1",
    GITHUB_APP_PRIVATE_KEY: keys.app,
  };
  const { stdout, stderr } = await runCli(["start", "--once", "--max-wait", "1"], { cwd: workspace.folder, settings });
  expect(stdout + stderr).toMatch(/40[134]/);
  expectNoSecret({ output: stdout + stderr });
  expect(stdout + stderr).not.toMatch(/eyJ[\w-]+\.eyJ/);
});

/** @returns the environments of all processes that were started from `folder`. */
async function environmentsIn(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
    if (line.includes(folder)) found.set(`${pid} ${line}`, await readFile(`/proc/${pid}/environ`, "utf8").catch(() => ""));
  }
  return found;
}

test("the embedded Postgres is given no secret, neither in its arguments nor in its environment", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty", credentials: [{ token }] });
  simulator.control.addRun({ repository: "octo-org/api" });
  const settings = { ...githubSettings(simulator), ...secrets };
  await using program = startProgram(mainOf("cli"), ["start"], { cwd: workspace.folder, settings });
  await program.prints('"msg":"started"');
  const environments = await environmentsIn(workspace.folder);
  expect([...environments.keys()].join("\n")).toContain("postgres");
  const environment = [...environments.values()].join("\n");
  expect(environment).not.toMatch(/GITHUB|AWS|SEAL/);
  const password = (await readFile(`${workspace.folder}/.actions-archive/postgres/cluster/password`, "utf8")).trim();
  const [processes, output] = [await listProcesses(), await outputOf(program)];
  expectNoSecret({ processes, output, environment: `${environment} ` });
  for (const text of [processes, output]) expect(text).not.toContain(password);
});
