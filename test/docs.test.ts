// Documentation names files, commands and settings. These tests fail when one of them is renamed.

import { existsSync, globSync, readFileSync } from "node:fs";

import { settingNames } from "@actions-archive/core/settings";
import { expect, test } from "vitest";
import { z } from "zod";

const root = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const maxLines: Readonly<Record<string, number>> = { "README.md": 120, "ARCHITECTURE.md": 250, "CONTRIBUTING.md": 80 };
const papers = [...Object.keys(maxLines), "AGENTS.md", ...globSync("docs/**/*.md", { cwd: root })];
const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(read("package.json")));

test.each(Object.entries(maxLines))("%s has at most %i lines", (paper, lines) => {
  expect(read(paper).split("\n").length).toBeLessThanOrEqual(lines + 1);
});

test.each(papers)("every link of %s leads to a file", (paper) => {
  const links = [...read(paper).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target);
  expect(links.filter((target) => !existsSync(new URL(target, new URL(paper, root))))).toEqual([]);
});

test.each(papers)("every path that %s names exists", (paper) => {
  const quoted = [...read(paper).matchAll(/`([\w.-]+(?:\/[\w.*-]+)+\/?)`/g)].map(([, path = ""]) => path);
  const ours = quoted.filter((path) => /^(packages|docs|infra|test|\.ci)\//.test(path));
  expect(ours.filter((path) => globSync(path, { cwd: root }).length === 0)).toEqual([]);
});

test.each(papers)("every pnpm command that %s names exists", (paper) => {
  const named = [...read(paper).matchAll(/npx pnpm ([a-z][\w:-]*)/g)].map(([, name = ""]) => name);
  expect(named.filter((name) => !(name in scripts) && !["exec", "install"].includes(name))).toEqual([]);
});

test.each(papers)("every setting that %s names exists", (paper) => {
  const named = [...read(paper).matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)].map(([, name = ""]) => name);
  expect(named.filter((name) => !settingNames.includes(name) && !/^(TEST|AWS|ERR)_/.test(name))).toEqual([]);
});

test("every log line that ARCHITECTURE.md names is logged", () => {
  const lines = [...read("ARCHITECTURE.md").matchAll(/\| `([a-z ]+)` \|$/gm)].map(([, line = ""]) => `"${line}"`);
  const sources = globSync("packages/*/src/**/*.ts", { cwd: root }).map(read).join("\n");
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.filter((line) => !sources.includes(line))).toEqual([]);
});

test("every test that docs/reliability.md names exists", () => {
  const named = [...read("docs/reliability.md").matchAll(/`([\w./-]+)` ((?:"[^"]+"(?:, )?)+)/g)].flatMap(
    ([, file = "", words = ""]) => {
      const [name = "", owner = "*"] = file.split("/").toReversed();
      const folders = { "*": ["test", "packages/*/src/**"], faults: ["test/faults"] }[owner] ?? [`packages/${owner}/src/**`];
      const found = folders
        .map((folder) => globSync(`${folder}/${name}{,.int,.fault}.test.ts`, { cwd: root }))
        .find(({ length }) => length > 0);
      const sources = (found ?? []).map(read);
      return [...words.matchAll(/"([^"]+)"/g)].map(([, phrase = ""]) => ({
        file,
        phrase,
        isThere: sources.length === 1 && sources.some((source) => source.includes(phrase)),
      }));
    },
  );
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter(({ isThere }) => !isThere)).toEqual([]);
});
