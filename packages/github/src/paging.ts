// Walks a list of GitHub's page by page, with the three habits that lists need: smaller pages when large ones fail, no trust
// in total_count, and each item once.

import { TransientError } from "@actions-archive/core/errors";

import type { Page } from "./github.ts";

/**
 * 100 items in one page answered 502 where 30 worked: open-telemetry/opentelemetry-java-instrumentation#18649.
 * The smallest is asked for most patiently, since nothing comes after it.
 */
const pageSizes = [
  { perPage: 100, retries: 1 },
  { perPage: 30, retries: 1 },
  { perPage: 10, retries: 2 },
] as const;

/** More pages than any list of ours has: what goes on and on is an error and not a list. */
const mostPages = 2_000;

export type PageRequest = { readonly page: number; readonly perPage: number; readonly retries: number };

/** The first page of a list, smaller where a larger one cannot be had. @throws as `paginate`. */
export async function fetchFirstPage<T>(fetchPage: (request: PageRequest) => Promise<T>): Promise<T> {
  for (const [size, attempt] of pageSizes.entries()) {
    try {
      return await fetchPage({ page: 1, ...attempt });
    } catch (error) {
      if (size === pageSizes.length - 1 || !isUnavailable(error)) throw error;
    }
  }
  throw new Error("there is a smallest page");
}

function isUnavailable(error: unknown): boolean {
  return error instanceof TransientError && error.code === "github/unavailable";
}

/**
 * Yields page after page until one carries no `rel="next"` or nothing. A page that cannot be had starts the list again with
 * smaller ones; items that were yielded before are left out, so that each id comes once, in GitHub's order.
 * The date of the first page is when the listing began.
 * @throws what `fetchPage` throws; TransientError when even the smallest pages fail or the list has no end.
 */
export async function* paginate<T extends { readonly id: number }>(
  fetchPage: (request: PageRequest) => Promise<Page<T>>,
): AsyncGenerator<Page<T>, void, undefined> {
  const seen = new Set<number>();
  let size = 0;
  let page = 1;
  while (page <= mostPages) {
    const attempt = pageSizes[size] ?? pageSizes[2];
    let answer: Page<T>;
    try {
      answer = await fetchPage({ page, ...attempt });
    } catch (error) {
      const isLast = size === pageSizes.length - 1;
      if (isLast || !isUnavailable(error)) throw error;
      size += 1;
      page = 1;
      continue;
    }
    const isEnd = !answer.hasNext || answer.data.length === 0;
    const fresh = answer.data.filter((item) => !seen.has(item.id));
    for (const item of fresh) seen.add(item.id);
    yield { ...answer, data: fresh, hasNext: !isEnd };
    if (isEnd) return;
    page += 1;
  }
  throw new TransientError("github/unexpected-answer", `GitHub's list did not end after ${mostPages} pages`);
}
