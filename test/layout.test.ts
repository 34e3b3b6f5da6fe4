// Inside a package, imports between folders, including those of types, form no cycle. A file at the root of `src` counts as its own folder.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

import { expect, test } from "vitest";

const root = new URL("../packages/", import.meta.url).pathname;
const importPattern = /\bfrom\s+"(\.[^"]+\.ts)"/g;

function sourcesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
  );
}

/** @returns by folder: the folders that it imports from, with one import as evidence. */
function importsBetweenFolders(folder: string): Map<string, Map<string, string>> {
  const folderOf = (file: string): string => (dirname(file) === "." ? file : dirname(file));
  const edges = new Map<string, Map<string, string>>();
  for (const file of sourcesOf(folder)) {
    for (const [, path = ""] of readFileSync(join(folder, file), "utf8").matchAll(importPattern)) {
      const target = normalize(join(dirname(file), path));
      const [from, to] = [folderOf(file), folderOf(target)];
      if (from === to || target.startsWith("..")) continue;
      const targets = edges.get(from) ?? new Map<string, string>();
      edges.set(from, targets.set(to, `${file} -> ${target}`));
    }
  }
  return edges;
}

/** @returns the imports of one cycle of folders; empty when there is none. */
function findCycle(edges: Map<string, Map<string, string>>): string[] {
  const finished = new Set<string>();
  const visit = (folder: string, path: readonly string[]): string[] => {
    if (path.includes(folder)) {
      const circle = [...path.slice(path.indexOf(folder)), folder];
      return circle.slice(1).map((to, index) => edges.get(circle[index] ?? "")?.get(to) ?? "");
    }
    if (finished.has(folder)) return [];
    for (const to of edges.get(folder)?.keys() ?? []) {
      const circle = visit(to, [...path, folder]);
      if (circle.length > 0) return circle;
    }
    finished.add(folder);
    return [];
  };
  return [...edges.keys()].map((folder) => visit(folder, [])).find((circle) => circle.length > 0) ?? [];
}

test.each(readdirSync(root))("the folders of packages/%s import in one direction", (name) => {
  expect(findCycle(importsBetweenFolders(join(root, name, "src")))).toEqual([]);
});

test("no folder of sources holds more than 40 files", () => {
  const counts = new Map<string, number>();
  for (const name of readdirSync(root)) {
    for (const file of sourcesOf(join(root, name, "src"))) {
      const folder = relative(root, dirname(join(root, name, "src", file)));
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
  }
  expect([...counts].filter(([, count]) => count > 40)).toEqual([]);
});
