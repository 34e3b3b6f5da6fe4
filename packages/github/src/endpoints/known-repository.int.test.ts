// A repository is known by its id: renamed, transferred to an owner of another installation, or with a stranger under its old name.

import { PermanentError } from "@actions-archive/core/errors";
import { createLogger } from "@actions-archive/core/logger";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { expect, test } from "vitest";

import { type GitHub, openGitHub } from "../github.ts";
import { createProcessBudget } from "../transport/process-budget.ts";
import { getKnownRepository } from "./repositories.ts";

const fullName = "octo-org/api";

type Stage = AsyncDisposable & { readonly simulator: Simulator; readonly github: GitHub; readonly repositoryId: number };

/** An App with an installation on each of two owners. */
async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const simulator = stack.use(await startSimulator({ owners: 2, repositories: 2, days: 0, app: { id: 7 } }));
  const github = stack.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: { kind: "app", appId: "7", privateKey: simulator.app?.privateKey ?? "" },
      logHosts: [],
      budget: createProcessBudget(),
      log: createLogger("test", "silent"),
    }),
  );
  const opened = stack.move();
  const repositoryId = simulator.world.findRepository(fullName)?.repository.id ?? 0;
  return { simulator, github, repositoryId, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

const nameOf = async ({ github, repositoryId }: Stage, known = fullName) =>
  (await getKnownRepository(github, { repositoryId, fullName: known })).data.full_name;

test("a repository that moves from one installation to another, and again, is found by its id", async () => {
  await using stage = await openStage();
  expect(await nameOf(stage)).toBe(fullName);
  stage.simulator.control.moveRepository({ repository: fullName, owner: "acme", name: "moved" });
  expect(await nameOf(stage)).toBe("acme/moved");
  stage.simulator.control.moveRepository({ repository: "acme/moved", owner: "octo-org", name: "back" });
  // Under the name that it never had, and by an id whose installation is remembered wrongly.
  expect(await nameOf(stage, "acme/nothing")).toBe("octo-org/back");
});

test("a stranger under the old name is not taken for it", async () => {
  await using stage = await openStage();
  stage.simulator.control.moveRepository({ repository: fullName, name: "classic" });
  stage.simulator.control.addRepository({ repository: fullName });
  expect(await nameOf(stage)).toBe("octo-org/classic");
  stage.simulator.control.hideRepository({ repository: "octo-org/classic" });
  await expect(nameOf(stage)).rejects.toThrow(PermanentError);
  await expect(nameOf(stage)).rejects.toThrow("is now another repository");
});
