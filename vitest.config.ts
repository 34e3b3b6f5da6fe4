// Three projects: `unit` does no I/O; `integration` (`*.int.test.ts`) has a real Postgres and Redis, which its set-up starts; `faults`
// (`*.fault.test.ts`) breaks them, and takes minutes.

import { defineConfig } from "vitest/config";

const nowhere = ["**/node_modules/**"];
const servers = "./packages/testkit/src/global-setup.ts";

export default defineConfig({
  test: {
    // Each test file in a process of its own, two at once: an integration test runs several processes itself, and with four such
    // files on two cores what must happen within a lease's time did not always.
    pool: "forks",
    maxWorkers: 2,
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["**/*.{int,fault}.test.ts", ...nowhere],
          // A time-out only ends what hangs: a machine that is busy elsewhere is no failure.
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["packages/*/src/**/*.int.test.ts", "test/**/*.int.test.ts"],
          exclude: nowhere,
          globalSetup: [servers],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: "faults",
          include: ["test/faults/**/*.fault.test.ts"],
          exclude: nowhere,
          globalSetup: [servers],
          testTimeout: 1_800_000,
          hookTimeout: 300_000,
          // What must happen within a lease's time would not, with two whole systems on two cores.
          fileParallelism: false,
        },
      },
    ],
  },
});
