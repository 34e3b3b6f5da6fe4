// The operations of a fetcher: polling each repository, and a backfill from its creation to its end.

import { listBackfills } from "@actions-archive/database/backfill/backfill-progress";
import { createBackfill } from "@actions-archive/database/backfill/backfills";
import { backfillRepository } from "@actions-archive/fetcher/backfill/backfill-repository";
import { prepareBackfill } from "@actions-archive/fetcher/backfill/prepare-backfill";
import { loadFetcherConfig } from "@actions-archive/fetcher/config";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import { pollRepository } from "@actions-archive/fetcher/poll/poll-repository";
import { parseRepositoryPatterns } from "@actions-archive/fetcher/repositories/repository-patterns";
import { openFetcher } from "@actions-archive/fetcher/start-fetcher";

import { operationActor as name, type OpenOperation, type Opening, type Span } from "./operations.ts";

const { signal } = new AbortController();

export async function openPoll({ env, resources, log }: Opening): Promise<OpenOperation> {
  const { fetcher } = await openFetcher(loadFetcherConfig(env), { log, resources }, name);
  const repositories = await fetcher.db.selectFrom("archive.repositories").select("repository_id").execute();
  return {
    async perform() {
      for (const { repository_id } of repositories) await pollRepository(fetcher, repository_id, { isFullPass: false, signal });
    },
  };
}

// Like `backfill --wait` without a running fetcher. A second call continues the backfill that the first one created.
export async function openBackfill({ env, resources, log, span }: Opening): Promise<OpenOperation> {
  const config = loadFetcherConfig(env);
  const { fetcher } = await openFetcher(config, { log, resources }, name);
  return {
    async perform() {
      const [known] = await listBackfills(fetcher.db);
      const backfill_id = known?.backfill_id ?? (await beginBackfill(fetcher, config.ARCHIVE_REPOSITORIES ?? "", span));
      const parts = await fetcher.db.selectFrom("archive.backfill_repositories").select("repository_id").execute();
      for (const { repository_id } of parts)
        // Slices without a time limit of their own do the minimum, so that there are many.
        while ((await backfillRepository(fetcher, { backfill_id, repository_id }, { signal, sliceMs: 1 })) === "more");
    },
  };
}

async function beginBackfill(fetcher: Fetcher, repositories: string, span: Span | undefined): Promise<number> {
  const patterns = parseRepositoryPatterns(repositories);
  const share = { reservePercent: 0, maxPerHour: undefined };
  const prepared = await prepareBackfill(fetcher, { patterns, ...span }, { share, signal });
  const rows = prepared.repositories.map(({ id, full_name, private: isPrivate, estimatedRuns }) => ({
    repository_id: id,
    full_name,
    is_private: isPrivate ?? null,
    estimated_runs: estimatedRuns,
  }));
  return createBackfill(fetcher.db, { askedFor: [repositories], ...prepared, repositories: rows });
}
