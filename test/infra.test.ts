// Checks the compose file, the image and the list of settings as text, since tests run without a Docker engine.

import { existsSync, readFileSync } from "node:fs";

import { commonSettings, settingNames, settings } from "@actions-archive/core/settings";
import { fetcherSettings } from "@actions-archive/fetcher/config";
import { loaderSettings } from "@actions-archive/loader/config";
import { logWorkerSettings } from "@actions-archive/log-worker/config";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const root = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const Command = z.array(z.string()).min(1);
const Service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.literal("."), dockerfile: z.string() }).optional(),
  command: Command.optional(),
  working_dir: z.string().optional(),
  environment: z.record(z.string(), z.string()).optional(),
  init: z.boolean().optional(),
  restart: z.enum(["unless-stopped", "no"]),
  stop_grace_period: z.stringFormat("seconds", /^\d+s$/).optional(),
  read_only: z.boolean().optional(),
  tmpfs: z.array(z.string()).optional(),
  cap_drop: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  shm_size: z.string().optional(),
  volumes: z.array(z.string()).optional(),
  healthcheck: z.union([
    z.strictObject({ disable: z.literal(true) }),
    z.strictObject({
      test: Command,
      interval: z.string(),
      timeout: z.string(),
      retries: z.number(),
      start_period: z.string().optional(),
    }),
  ]),
  depends_on: z
    .record(z.string(), z.strictObject({ condition: z.enum(["service_healthy", "service_completed_successfully"]) }))
    .optional(),
});
const Compose = z.object({ services: z.record(z.string(), Service), volumes: z.record(z.string(), z.null()) });

const compose = Compose.parse(parse(read("docker-compose.yml"), { merge: true }));
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build !== undefined);
const workers = ["fetcher", "log-worker", "loader"] as const;

const schemas: Readonly<Record<string, z.ZodType>> = settings;
const dockerfile = read("infra/Dockerfile");
const envExample = read(".env.example");
const [forThePrograms = "", forComposeAlone = ""] = envExample.split(/^# --- For docker-compose.yml alone.*$/m);
const listedSettings = new Map(
  [...forThePrograms.matchAll(/^#?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
);
const composeVariables = [...forComposeAlone.matchAll(/^#?([A-Z][A-Z0-9_]*)=/gm)].map(([, name = ""]) => name);

/** @returns the setting's value; undefined where it is unset and has no default. */
const parseSetting = (name: string, value: string | undefined) =>
  value === undefined ? schemas[name]?.safeParse(undefined).data : schemas[name]?.parse(value);

test(".env.example lists every setting, and no other name", () => {
  expect([...listedSettings.keys()].toSorted()).toEqual([...settingNames].toSorted());
});

test(".env.example states the defaults that the program has", () => {
  // The default of SPOOL_DIR depends on the machine, so it is documented in words.
  const names = settingNames.filter((name) => name !== "SPOOL_DIR");
  const stated = names.map((name) => [
    name,
    listedSettings.get(name) === "" ? undefined : parseSetting(name, listedSettings.get(name)),
  ]);
  expect(stated).toEqual(names.map((name) => [name, parseSetting(name, undefined)]));
});

test.each([
  ["fetcher", fetcherSettings],
  ["log-worker", logWorkerSettings],
  ["loader", loaderSettings],
  ["migrate", commonSettings],
  ["bucket", commonSettings],
])("compose gives %s the settings that it takes, and no other", (name, taken) => {
  const given = Object.keys(compose.services[name]?.environment ?? {}).filter((setting) => !setting.startsWith("AWS_"));
  expect(given.toSorted()).toEqual(Object.keys(taken).toSorted());
});

test("compose reads from .env only what .env.example lists", () => {
  const interpolated = [...read("docker-compose.yml").matchAll(/\$\{([A-Z0-9_]+)/g)].map(([, name = ""]) => name);
  const listed = [...listedSettings.keys(), ...composeVariables];
  expect(interpolated.filter((name) => !listed.includes(name))).toEqual([]);
  expect(composeVariables.filter((name) => !interpolated.includes(name))).toEqual([]);
});

test("what compose sets itself is a setting's valid value", () => {
  for (const [service, { environment }] of ours) {
    const own = Object.entries(environment ?? {}).filter(
      ([name, value]) => settingNames.includes(name) && !value.startsWith("${"),
    );
    expect(own.length, service).toBeGreaterThan(0);
    for (const [name, value] of own) {
      expect(parseSetting(name, value.replaceAll(/\$\{[^}]*\}/g, "password")), `${service}: ${name}`).toBeDefined();
    }
  }
});

test("the loader gets no GitHub credential", () => {
  const names = Object.keys(compose.services["loader"]?.environment ?? {});
  expect(names.filter((name) => /GITHUB_(TOKEN|APP)/.test(name))).toEqual([]);
});

test("every service, volume and file that compose names exists", () => {
  const dependencies = services.flatMap(([, { depends_on: dependsOn }]) => Object.keys(dependsOn ?? {}));
  expect(dependencies.filter((name) => !(name in compose.services))).toEqual([]);
  const volumes = services.flatMap(([, service]) => service.volumes ?? []).map((volume) => volume.split(":")[0] ?? "");
  expect(volumes.filter((source) => !source.startsWith("$") && !(source in compose.volumes))).toEqual([]);
  const files = ours.flatMap(([, { build, command, working_dir: workingDir }]) => [
    build?.dockerfile ?? "",
    workingDir?.replace("/app/", "") ?? "",
    ...(command ?? []).filter((word) => word.startsWith("packages/")),
  ]);
  expect(files.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

test("every worker waits for the schema and the bucket, and has a health check", () => {
  for (const name of workers) {
    const worker = compose.services[name];
    expect(worker?.command, name).toEqual(["node", `packages/${name}/src/main.ts`]);
    expect(worker?.depends_on, name).toMatchObject({
      migrate: { condition: "service_completed_successfully" },
      bucket: { condition: "service_completed_successfully" },
      redis: { condition: "service_healthy" },
    });
    expect(JSON.stringify(worker?.healthcheck), name).toContain(`127.0.0.1:${worker?.environment?.["PORT"]}/livez`);
  }
});

test("our processes run without privileges, on a root that they cannot write", () => {
  expect(ours.map(([name]) => name)).toEqual([...workers, "migrate", "bucket"]);
  for (const [name, service] of ours) {
    expect(service, name).toMatchObject({
      init: true,
      read_only: true,
      cap_drop: ["ALL"],
      security_opt: ["no-new-privileges:true"],
    });
  }
  expect(dockerfile).toMatch(/^USER node$/m);
});

test("Docker's stop timeout is longer than a worker's shutdown grace", () => {
  for (const [name, service] of ours) {
    const graceSeconds = Number.parseInt(service.stop_grace_period ?? "10", 10);
    expect(graceSeconds, name).toBeGreaterThan(Number(service.environment?.["SHUTDOWN_GRACE_SECONDS"]));
  }
});

test("the spool's folder is writable and holds more than SPOOL_MAX_BYTES", () => {
  const { environment, tmpfs } = compose.services["log-worker"] ?? {};
  const spool = tmpfs?.find((mount) => mount.startsWith(`${environment?.["SPOOL_DIR"]}:`));
  const gigabytes = Number(/size=(\d+)g$/.exec(spool ?? "")?.[1]);
  expect(gigabytes * 1024 ** 3).toBeGreaterThan(Number(listedSettings.get("SPOOL_MAX_BYTES")));
});

test("Redis never evicts and keeps its queue on disk", () => {
  expect(compose.services["redis"]?.command?.join(" ")).toContain("--maxmemory-policy noeviction --appendonly yes");
});

test("the Dockerfile copies what exists, and .dockerignore lets it through", () => {
  const allowed = [...read(".dockerignore").matchAll(/^!(.+)$/gm)].map(([, path = ""]) => path);
  const copied = [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, sources = ""]) => sources.split(" "));
  expect(copied.length).toBeGreaterThan(0);
  for (const path of copied) {
    expect(existsSync(new URL(path, root)), path).toBe(true);
    expect(allowed).toContain(path);
  }
  const command = Command.parse(JSON.parse(/^CMD (.+)$/m.exec(dockerfile)?.[1] ?? ""));
  expect(existsSync(new URL(command[1] ?? "", root)), command[1]).toBe(true);
});

test("the image has the Node and the pnpm that the repository has", () => {
  const { devDependencies, packageManager } = z
    .object({ devDependencies: z.record(z.string(), z.string()), packageManager: z.string() })
    .parse(JSON.parse(read("package.json")));
  expect(dockerfile).toContain(`FROM node:${devDependencies["node"]}-`);
  expect(dockerfile).toContain(`npm install --global ${packageManager}\n`);
});
