// Four projects: `unit` does no I/O; `integration` (`packages/**/*.int.test.ts`) has a real Postgres and Redis, which its set-up starts;
// `system` (`test/*.int.test.ts`) runs the programs themselves; `faults` (`*.fault.test.ts`) breaks whole systems, and takes an hour.

import { defineConfig } from "vitest/config";

const ignored = ["**/node_modules/**"];
const servers = "./packages/testkit/src/global-setup.ts";
const onServers = {
  exclude: ignored,
  globalSetup: [servers],
  testTimeout: 300_000,
  hookTimeout: 300_000,
};

export default defineConfig({
  test: {
    // Each test file in a process of its own, two at once: an integration test runs several processes itself, and four such files on two
    // cores miss the deadlines of leases.
    pool: "forks",
    maxWorkers: 2,
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["**/*.{int,fault}.test.ts", ...ignored],
          // A time-out only ends what hangs: a machine that is busy elsewhere is no failure.
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["packages/*/src/**/*.int.test.ts"],
          ...onServers,
        },
      },
      {
        extends: true,
        test: {
          name: "system",
          include: ["test/**/*.int.test.ts"],
          ...onServers,
        },
      },
      {
        extends: true,
        test: {
          name: "faults",
          include: ["test/faults/**/*.fault.test.ts"],
          ...onServers,
          testTimeout: 1_800_000,
          // Two whole systems on two cores would miss the deadlines of their leases.
          fileParallelism: false,
        },
      },
    ],
  },
});
