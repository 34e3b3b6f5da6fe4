// The embedded engines of `doctor`: attached to where an archive is, and never created.

import { presentSettings } from "@actions-archive/core/config";
import type { Logger } from "@actions-archive/core/logger";

import type { CommandContext } from "../command-context.ts";
import { findEmbedded } from "../find-embedded.ts";
import { openEngineEnvironment } from "../with-engines.ts";
import { type Check, pass } from "./check.ts";

export type EmbeddedEngines = AsyncDisposable & {
  /** The environment with the URLs of the embedded engines that exist; a missing URL has none. */
  readonly env: Record<string, string>;
  readonly hasSealKey: boolean;
  /** The check of an engine that no setting names and that is not there yet. */
  readonly absent: (check: string) => Promise<Check[]>;
};

/** Opens what no setting names, where it exists. @throws ConfigError when it cannot be opened. */
export async function openEmbeddedFor(context: CommandContext, log: Logger): Promise<EmbeddedEngines> {
  const present = presentSettings(context.env);
  const absent = async (check: string) => [pass(check, `embedded: the first start creates it under ${context.dir}`)];
  const isComplete = ["DATABASE_URL", "QUEUE_URL", "ARCHIVE_URL"].every((name) => present[name] !== undefined);
  if (isComplete || !(await findEmbedded(context.dir)))
    return {
      env: present,
      hasSealKey: !isComplete && present["ARCHIVE_URL"] === undefined,
      absent,
      [Symbol.asyncDispose]: async () => {},
    };
  const { env, engines } = await openEngineEnvironment(context.env, { dir: context.dir, log, mode: "attach" });
  return {
    env,
    hasSealKey: engines.sealKeyFile !== undefined,
    absent,
    [Symbol.asyncDispose]: () => engines[Symbol.asyncDispose](),
  };
}
