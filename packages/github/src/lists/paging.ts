// Reads a list of GitHub page by page, with smaller pages if large ones fail, and each item once. `total_count` is only used to read
// more, never to stop.

import { TransientError } from "@actions-archive/core/errors";

import type { Page, UnusableItem } from "../api.ts";

/** https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api */
export const maxPerPage = 100;

/**
 * A page of 100 items failed with 502 where 30 worked: open-telemetry/opentelemetry-java-instrumentation#18649.
 * The smallest size has the most retries, since no smaller size follows.
 */
const pageSizes = [
  { perPage: maxPerPage, retries: 1 },
  { perPage: 30, retries: 1 },
  { perPage: 10, retries: 2 },
] as const;

/** More pages than any real list has. The limit ends a list that never ends. */
const maxPages = 2_000;

export type PageRequest = { readonly page: number; readonly perPage: number; readonly retries: number };

/** The first page of a list, with fewer items if a larger page fails. @throws as `paginate`. */
export async function fetchFirstPage<T>(fetchPage: (request: PageRequest) => Promise<T>): Promise<T> {
  for (const [size, attempt] of pageSizes.entries()) {
    try {
      return await fetchPage({ page: 1, ...attempt });
    } catch (error) {
      if (size === pageSizes.length - 1 || !isUnavailable(error)) throw error;
    }
  }
  throw new Error("unreachable: the smallest page size either succeeds or throws");
}

function isUnavailable(error: unknown): boolean {
  return error instanceof TransientError && error.code === "github/unavailable";
}

export type PagingOptions = {
  /** GitHub lists at most this many items, whatever its `total_count`. Default: no limit. */
  readonly cap?: number;
};

/**
 * Yields the pages of a list. A page is the last if it has no next link, unless it is full and `total_count` is larger: a proxy that strips
 * `Link` must not end a list. An empty page always ends it. If a page fails, the list restarts with smaller pages; items that were yielded
 * before are left out, so each id is yielded once, in GitHub's order. The date of the first page is the start of the listing.
 * @throws what `fetchPage` throws; TransientError when even the smallest pages fail or the list has more than 2,000 pages.
 */
export async function* paginate<T extends { readonly id: number }>(
  fetchPage: (request: PageRequest) => Promise<Page<T>>,
  { cap = Infinity }: PagingOptions = {},
): AsyncGenerator<Page<T>, void, undefined> {
  const seen = new Set<number>();
  let size = 0;
  let page = 1;
  while (page <= maxPages) {
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
    const shownItems = answer.data.length + (answer.unusable?.length ?? 0);
    // Also within a page, which can contain an item twice in place of another.
    const fresh = answer.data.filter(({ id }) => !seen.has(id) && seen.add(id));
    const hasUnseen = shownItems === attempt.perPage && seen.size < Math.min(answer.totalCount ?? 0, cap);
    const hasNext = shownItems > 0 && (answer.hasNext || hasUnseen);
    yield { ...answer, data: fresh, hasNext };
    if (!hasNext) return;
    page += 1;
  }
  throw new TransientError("github/unexpected-answer", `GitHub's list did not end after ${maxPages} pages`);
}

/**
 * Yields the pages unchanged, and throws at the end if there were fewer items than GitHub's `total_count`.
 * @param what names the items in the error.
 * @throws TransientError `github/unexpected-answer`; what the pages throw.
 */
export async function* requireComplete<T>(pages: AsyncIterable<Page<T>>, what: string): AsyncGenerator<Page<T>, void, undefined> {
  let [shown, promised] = [0, 0];
  for await (const page of pages) {
    shown += page.data.length + (page.unusable?.length ?? 0);
    promised = Math.max(promised, page.totalCount ?? 0);
    yield page;
  }
  if (shown < promised)
    throw new TransientError(
      "github/unexpected-answer",
      `GitHub listed ${shown} of ${promised} ${what}. The list is requested again.`,
    );
}

export type CompleteList<T> = {
  /** Each id once, in GitHub's order. */
  readonly items: readonly T[];
  readonly unusable: readonly UnusableItem[];
  /** The largest `total_count` of its pages, at most the cap; undefined if GitHub sends none. */
  readonly promised: number | undefined;
  /** Whether the list has at least `promised` distinct items. Not sufficient to end a list. */
  readonly isWhole: boolean;
  /** ETag of its only page; undefined if it has several pages, or GitHub sent none. */
  readonly etag: string | undefined;
};

/** Collects all pages of a list, and whether they have as many items as GitHub's `total_count`. @throws as `paginate`. */
export async function collectPages<T>(
  pages: AsyncIterable<Page<T>>,
  { cap = Infinity }: PagingOptions = {},
): Promise<CompleteList<T>> {
  const items: T[] = [];
  const unusable: UnusableItem[] = [];
  let promised: number | undefined;
  let [pageCount, etag]: [number, string | undefined] = [0, undefined];
  for await (const page of pages) {
    pageCount += 1;
    ({ etag } = page);
    items.push(...page.data);
    unusable.push(...(page.unusable ?? []));
    if (page.totalCount !== undefined) promised = Math.min(Math.max(promised ?? 0, page.totalCount), cap);
  }
  return {
    items,
    unusable,
    promised,
    isWhole: items.length + unusable.length >= (promised ?? 0),
    etag: pageCount === 1 ? etag : undefined,
  };
}
