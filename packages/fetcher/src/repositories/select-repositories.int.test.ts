// Selection of repositories: owners, exclusions, names that do not resolve, and repositories that leave the selection.

import { listSelectedRepositories, listUnreadableRepositories } from "@actions-archive/database/ledger/repositories";
import { expect, test } from "vitest";

import { openHarness } from "../../test-support/harness.ts";
import { selectRepositories } from "./select-repositories.ts";

const anyTime = () => AbortSignal.timeout(20_000);

async function openWorld() {
  const harness = await openHarness();
  for (const repository of ["acme/web", "acme/api", "acme/private-keys", "Octo/Site"])
    harness.simulator.control.addRepository({ repository });
  const select = async (ARCHIVE_REPOSITORIES: string) => {
    await selectRepositories({ ...harness.fetcher, settings: { ...harness.fetcher.settings, ARCHIVE_REPOSITORIES } }, anyTime());
    return (await listSelectedRepositories(harness.fetcher.db))
      .map(({ full_name }) => full_name)
      .toSorted((a, b) => a.localeCompare(b));
  };
  return { ...harness, select };
}

test("an owner's repositories are selected except the excluded ones, whatever the case", async () => {
  await using world = await openWorld();
  expect(await world.select("ACME/*,!acme/Private-*,octo/site")).toEqual(["acme/api", "acme/web", "Octo/Site"]);
  expect(await listUnreadableRepositories(world.fetcher.db)).toEqual([]);
});

test("an exclusion wins over the name itself", async () => {
  await using world = await openWorld();
  expect(await world.select("acme/web,acme/api,!acme/w*")).toEqual(["acme/api"]);
});

test("a name that does not resolve is recorded, and the others are selected", async () => {
  await using world = await openWorld();
  expect(await world.select("acme/web,acme/typo,missing/*")).toEqual(["acme/web"]);
  const unreadable = await listUnreadableRepositories(world.fetcher.db);
  expect(unreadable.map(({ name }) => name)).toEqual(["acme/typo", "missing/*"]);
});

test("a repository that is no longer selected stays known", async () => {
  await using world = await openWorld();
  await world.select("acme/*");
  expect(await world.select("acme/web")).toEqual(["acme/web"]);
  expect(await world.query("select full_name, is_selected from archive.repositories order by 1")).toEqual([
    { full_name: "acme/api", is_selected: false },
    { full_name: "acme/private-keys", is_selected: false },
    { full_name: "acme/web", is_selected: true },
  ]);
  expect(await world.select("acme/api")).toEqual(["acme/api"]);
});

test("a repository that becomes unreadable stays selected, since lost access is indistinguishable from deletion", async () => {
  await using world = await openWorld();
  await world.select("acme/web,acme/api");
  world.simulator.control.hideRepository({ repository: "acme/web" });
  expect(await world.select("acme/web,acme/api")).toEqual(["acme/api", "acme/web"]);
  expect(await listUnreadableRepositories(world.fetcher.db)).toMatchObject([{ name: "acme/web" }]);
});

test("an owner that can no longer be listed keeps its selected repositories", async () => {
  await using world = await openWorld();
  await world.select("acme/*,!acme/private-*");
  world.simulator.faults.add({ path: "*/repos", status: 404, body: `{"message":"Not Found"}`, times: "forever" });
  expect(await world.select("acme/*,!acme/private-*")).toEqual(["acme/api", "acme/web"]);
  expect(await listUnreadableRepositories(world.fetcher.db)).toMatchObject([{ name: "acme/*" }]);
});

test("an old name selects the repository under its new one", async () => {
  await using world = await openWorld();
  world.simulator.control.moveRepository({ repository: "acme/web", name: "shop" });
  expect(await world.select("acme/web")).toEqual(["acme/shop"]);
});

test("a repository missing from its owner's list stays selected until its id resolves to another name", async () => {
  await using world = await openWorld();
  const { control } = world.simulator;
  await world.select("acme/*,!acme/private-*");
  control.hideRepository({ repository: "acme/web" });
  expect(await world.select("acme/*,!acme/private-*")).toEqual(["acme/api", "acme/web"]);
  control.hideRepository({ repository: "acme/web", hidden: false });
  control.moveRepository({ repository: "acme/web", owner: "Octo" });
  expect(await world.select("acme/*,!acme/private-*")).toEqual(["acme/api"]);
});

test("a literally named repository is found by its id when its old name resolves to another", async () => {
  await using world = await openWorld();
  await world.select("acme/web");
  world.simulator.control.moveRepository({ repository: "acme/web", name: "shop", owner: "Octo" });
  world.simulator.control.addRepository({ repository: "acme/web" });
  expect(await world.select("acme/web")).toEqual(["acme/web", "Octo/shop"]);
});

test("when GitHub cannot answer, the selection stays as it was", async () => {
  await using world = await openWorld();
  await world.select("acme/web");
  world.simulator.faults.add({ status: 502, times: "forever" });
  await expect(world.select("acme/api")).rejects.toThrow(/502/);
  expect((await listSelectedRepositories(world.fetcher.db)).map(({ full_name }) => full_name)).toEqual(["acme/web"]);
});

test("selecting again costs nothing while nothing changed, and finds a new name", async () => {
  await using world = await openWorld();
  await world.select("acme/web,acme/api");
  world.simulator.control.clearJournal({});
  expect(await world.select("acme/web,acme/api")).toEqual(["acme/api", "acme/web"]);
  expect(world.simulator.journal.entries({ origin: "api" }).map(({ status }) => status)).toEqual([304, 304]);
  world.simulator.control.moveRepository({ repository: "acme/web", name: "site" });
  expect(await world.select("acme/web,acme/api")).toEqual(["acme/api", "acme/site"]);
});

test("an id from a single wrong answer is dropped once the name resolves to its repository again", async () => {
  await using world = await openWorld();
  world.simulator.control.addFault({ path: "/repos/acme/web", lie: { kind: "odd-object", patch: { id: 1 } } });
  await world.select("acme/web");
  const selected = () => world.query("select repository_id = 1 as is_made_up from archive.repositories where is_selected");
  expect(await selected()).toEqual([{ is_made_up: true }]);
  expect(await world.select("acme/web")).toEqual(["acme/web"]);
  expect(await selected()).toEqual([{ is_made_up: false }]);
});

test("a listed repository stays selected when its name resolves to another one", async () => {
  await using world = await openWorld();
  await world.select("acme/web");
  await world.query("update archive.repositories set archive_since = now()");
  const { control } = world.simulator;
  control.hideRepository({ repository: "acme/web" });
  control.addRepository({ repository: "acme/web" });
  expect(await world.select("acme/web")).toEqual(["acme/web", "acme/web"]);
});

test("a repository that could not be read since the first selection is a gap until it can", async () => {
  await using world = await openWorld();
  await world.select("acme/api");
  const { id } = world.simulator.control.addFault({ path: "*", times: "forever", lie: { kind: "document", format: "html" } });
  await expect(world.select("acme/api,acme/web,octo/*")).rejects.toThrow("not JSON");
  const gaps = () => world.query("select repository, kind, reason from audit.gaps where repository_id is null order by 1");
  expect(await gaps()).toEqual([
    { repository: "acme/web", kind: "window_open", reason: "problem" },
    { repository: "octo/*", kind: "window_open", reason: "problem" },
  ]);
  world.simulator.control.clearFaults({ id });
  expect(await world.select("acme/api,acme/web,octo/*")).toEqual(["acme/api", "acme/web", "Octo/Site"]);
  expect(await gaps()).toEqual([]);
});
