// A GitHub App: installations found, tokens got once and renewed, clocks that differ, and each owner's own credential.

import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";

import { ConfigError } from "@actions-archive/core/errors";
import { createLogger } from "@actions-archive/core/logger";
import { expect, test } from "vitest";

import { startScriptedServer } from "../../test-support/scripted-server.ts";
import { listInstallationRepositories } from "../endpoints/repositories.ts";
import { getRepositoryById, listOwnerRepositories } from "../endpoints/repositories.ts";
import { getJob } from "../endpoints/workflow-jobs.ts";
import { type GitHub, openGitHub } from "../github.ts";
import { createProcessBudget } from "../transport/process-budget.ts";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pkcs1 = privateKey.export({ type: "pkcs1", format: "pem" });
const job = { id: 7, run_id: 3, name: "build", status: "completed" };
const owners = new Map([
  ["octo", { installation: 31, repository: 12 }],
  ["other", { installation: 32, repository: 13 }],
]);

/** A server with two installations and one that is suspended. `clockSkewMs` is how far its clock is ahead of this machine's. */
async function startAppServer({ clockSkewMs = 0, refuse = (_token: string): boolean => false } = {}) {
  let tokens = 0;
  return startScriptedServer(({ url = "", method, headers }) => {
    const nowMs = Date.now() + clockSkewMs;
    const reply = (status: number, body: object) => ({ status, body, headers: { date: new Date(nowMs).toUTCString() } });
    const bearer = headers.authorization?.replace("Bearer ", "") ?? "";
    const path = url.split("?")[0] ?? "";
    if (path.startsWith("/app/")) {
      const [head = "", payload = "", signature = ""] = bearer.split(".");
      const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as { iat: number; exp: number; iss: string };
      const isSigned = verify(
        "RSA-SHA256",
        Buffer.from(`${head}.${payload}`),
        createPublicKey(publicKey.export({ type: "spki", format: "pem" })),
        Buffer.from(signature, "base64url"),
      );
      const isTimely = claims.iat * 1_000 <= nowMs && claims.exp * 1_000 > nowMs && claims.exp - claims.iat <= 660;
      if (!isSigned || !isTimely || claims.iss !== "99")
        return reply(401, { message: "'Expiration time' claim ('exp') is too far in the future" });
      if (path === "/app/installations") {
        const found = [...owners].map(([login, { installation }]) => ({
          id: installation,
          account: { login },
          suspended_at: null,
        }));
        return reply(200, [...found, { id: 33, account: { login: "gone" }, suspended_at: "2026-01-01T00:00:00Z" }]);
      }
      if (method !== "POST") return reply(404, { message: "Not Found" });
      tokens += 1;
      return reply(201, { token: `ghs_${path.split("/")[3]}_${tokens}`, expires_at: new Date(nowMs + 3_600_000).toISOString() });
    }
    if (!bearer.startsWith("ghs_") || refuse(bearer)) return reply(401, { message: "Bad credentials" });
    const [login, owner] = [...owners].find(([, { installation }]) => bearer.startsWith(`ghs_${installation}_`)) ?? [];
    const repository = { id: owner?.repository, name: "app", full_name: `${login}/app`, owner: { id: 1, login } };
    if (path === "/installation/repositories") return reply(200, { total_count: 1, repositories: [repository] });
    if (path === `/repositories/${owner?.repository}`) return reply(200, repository);
    if (path.toLowerCase().startsWith(`/repos/${login}/app/`)) return reply(200, job);
    return reply(404, { message: "Not Found" });
  });
}

function open(origin: string, privateKeyPem = pkcs1): GitHub {
  return openGitHub({
    apiUrl: new URL(origin),
    credentials: { kind: "app", appId: "99", privateKey: privateKeyPem },
    logHosts: [],
    budget: createProcessBudget(),
    log: createLogger("test", "silent"),
  });
}

const tokenRequests = (journal: readonly { path: string }[]) =>
  journal.filter(({ path }) => path.endsWith("/access_tokens")).length;

test("requests for an owner use its installation's token, which concurrent requests share", async () => {
  await using server = await startAppServer();
  await using github = open(server.origin);
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => getJob(github, { repository: index % 2 ? "Octo/app" : "other/app", jobId: 7 })),
  );
  expect(tokenRequests(server.journal)).toBe(2);
  expect(server.journal.filter(({ path }) => path.startsWith("/app/installations?"))).toHaveLength(1);
  expect(await github.credentialFor("octo/app")).toBe("installation-31");
  expect(await github.credentialFor("OTHER/anything")).toBe("installation-32");
});

test("a repository known only by its id is requested with the installation that has access to it", async () => {
  await using server = await startAppServer();
  await using github = open(server.origin);
  expect((await getRepositoryById(github, { repositoryId: 13 })).data.full_name).toBe("other/app");
  expect(await github.credentialFor(12)).toBe("installation-31");
  await expect(github.credentialFor(14)).rejects.toMatchObject({ code: "github/not-found" });
});

test("the repositories of all installations are listed, and those of one owner's", async () => {
  await using server = await startAppServer();
  await using github = open(server.origin);
  const all: string[] = [];
  for await (const page of listInstallationRepositories(github)) all.push(...page.data.map((repository) => repository.full_name));
  expect(all).toEqual(["octo/app", "other/app"]);
  const one: string[] = [];
  for await (const page of listOwnerRepositories(github, { owner: "other" }))
    one.push(...page.data.map((repository) => repository.full_name));
  expect(one).toEqual(["other/app"]);
});

test.each(["nobody/app", "gone/app"])(
  "an owner without an installation, or with a suspended one, is named: %s",
  async (repository) => {
    await using server = await startAppServer();
    await using github = open(server.origin);
    await expect(getJob(github, { repository, jobId: 7 })).rejects.toMatchObject({ code: "github/not-found" });
  },
);

test.each([-40 * 60_000, 40 * 60_000])("a clock that is %d ms off does not lock the App out", async (clockSkewMs) => {
  await using server = await startAppServer({ clockSkewMs });
  await using github = open(server.origin);
  for (let times = 0; times < 3; times++) await getJob(github, { repository: "octo/app", jobId: 7 });
  expect(tokenRequests(server.journal)).toBe(1);
});

test("a token that GitHub takes no more is replaced once, however many were refused", async () => {
  const revoked = new Set<string>();
  await using server = await startAppServer({ refuse: (token) => revoked.has(token) });
  await using github = open(server.origin);
  await getJob(github, { repository: "octo/app", jobId: 7 });
  revoked.add("ghs_31_1");
  await Promise.all(Array.from({ length: 10 }, () => getJob(github, { repository: "octo/app", jobId: 7 })));
  expect(tokenRequests(server.journal)).toBe(2);
});

test("an installation whose every token is refused pauses, and the others go on", async () => {
  await using server = await startAppServer({ refuse: (token) => token.startsWith("ghs_31_") });
  await using github = open(server.origin);
  await expect(getJob(github, { repository: "octo/app", jobId: 7 })).rejects.toMatchObject({ code: "github/unauthorized" });
  await expect(getJob(github, { repository: "octo/app", jobId: 7 })).rejects.toMatchObject({ code: "github/rate-limited" });
  expect((await getJob(github, { repository: "other/app", jobId: 7 })).data.id).toBe(7);
});

test("the App's key may be PKCS 1 or PKCS 8, on one line with written line breaks too; anything else is refused unseen", async () => {
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "pem" });
  await using server = await startAppServer();
  for (const key of [pkcs1, pkcs8, pkcs1.replaceAll("\n", String.raw`\n`)]) {
    await using github = open(server.origin, key);
    expect((await getJob(github, { repository: "octo/app", jobId: 7 })).data.id).toBe(7);
  }
  const wrong = () => open(server.origin, "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----");
  expect(wrong).toThrow(ConfigError);
  expect(wrong).not.toThrow(/canary/);
});
