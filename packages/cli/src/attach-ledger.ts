// What a command that reads or steers begins with: the archive's engines, running ones or run for the call, and its ledger.

import { findIdentity } from "@actions-archive/database/ledger/identity";
import { type Ledger, openLedger } from "@actions-archive/database/ledger/open-ledger";

import { type CommandContext, createCommandLogger } from "./command-context.ts";
import { assertHost, type EngineConfig, loadEngineConfig } from "./engine-config.ts";
import { type EngineUrl, openEngineEnvironment } from "./with-engines.ts";

export type AttachRequest = {
  /** Its name, shown in pg_stat_activity. */
  readonly command: string;
  /** What the command opens goes in here, and is closed with it. */
  readonly resources: AsyncDisposableStack;
  /** The engines that it needs. */
  readonly uses?: readonly EngineUrl[];
  /** True for a command that writes: it is refused where the settings name another host than the archive's. */
  readonly writes?: boolean;
  /** Whether an embedded archive is created where there is none. */
  readonly mayCreate?: boolean;
  /** To Postgres; two by default. */
  readonly maxConnections?: number;
};

export type AttachedLedger = Pick<Ledger, "db" | "pool"> & { readonly config: EngineConfig };

/** @throws ConfigError that names every wrong setting, or an engine that is refused. */
export async function attachLedger(
  context: CommandContext,
  { command, resources, uses = ["DATABASE_URL"], writes = false, mayCreate = false, maxConnections = 2 }: AttachRequest,
): Promise<AttachedLedger> {
  const log = createCommandLogger(context);
  const { env } = resources.use(
    await openEngineEnvironment(context.env, { dir: context.dir, log, mode: "attach", uses, mayCreate }),
  );
  const config = loadEngineConfig(env);
  const { db, pool } = resources.use(
    await openLedger({ url: config.DATABASE_URL.href, applicationName: `actions-archive ${command}`, maxConnections, log }),
  );
  const identity = writes ? await findIdentity(db) : undefined;
  if (identity !== undefined) assertHost(config, identity);
  return { db, pool, config };
}
