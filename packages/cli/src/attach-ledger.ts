// Opens the archive's engines, attaching to running ones or starting them for the call, and its ledger.

import { findIdentity } from "@actions-archive/database/ledger/identity";
import { type Ledger, openLedger } from "@actions-archive/database/ledger/open-ledger";

import { type CommandContext, createCommandLogger } from "./command-context.ts";
import { assertHost, type EngineConfig, loadEngineConfig } from "./engine-config.ts";
import { type EngineUrl, openEngineEnvironment } from "./with-engines.ts";

export type AttachRequest = {
  /** The command's name, shown in pg_stat_activity. */
  readonly command: string;
  /** Closes what the command opens. */
  readonly resources: AsyncDisposableStack;
  /** The engines that the command needs. */
  readonly uses?: readonly EngineUrl[];
  /** Whether the command writes; it is then refused when the settings name another host than the archive's. */
  readonly writes?: boolean;
  /** Whether an embedded archive is created where there is none. */
  readonly mayCreate?: boolean;
  /** Connections to Postgres; default 2. */
  readonly maxConnections?: number;
};

export type AttachedLedger = Pick<Ledger, "db" | "pool"> & { readonly config: EngineConfig };

/**
 * Opens the engines and the ledger.
 * @throws ConfigError that names every wrong setting, or an engine that is refused.
 */
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
