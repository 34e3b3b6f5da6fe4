// Walks a list of GitHub's page by page: smaller pages when large ones fail, each item once, and `total_count` only ever as a
// reason to read more.

import { TransientError } from "@actions-archive/core/errors";

import type { Page, UnusableItem } from "../api.ts";

/** https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api */
export const maxPerPage = 100;

/**
 * 100 items in one page answered 502 where 30 worked: open-telemetry/opentelemetry-java-instrumentation#18649.
 * The smallest is asked for most patiently, since nothing comes after it.
 */
const pageSizes = [
  { perPage: maxPerPage, retries: 1 },
  { perPage: 30, retries: 1 },
  { perPage: 10, retries: 2 },
] as const;

/** More pages than any list of ours has: what goes on and on is an error and not a list. */
const maxPages = 2_000;

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

export type PagingOptions = {
  /** GitHub shows no more items of this list, whatever its `total_count` says. Default: no such cap. */
  readonly cap?: number;
};

/**
 * Yields page after page. A page is the last when it names no next one, unless it is full and `total_count` promises more: a proxy
 * that strips `Link` must not end a list. An empty page always ends it. A page that cannot be had restarts the list with smaller
 * pages; items that were yielded before are left out, so that each id comes once, in GitHub's order.
 * The date of the first page is when the listing began.
 * @throws what `fetchPage` throws; TransientError when even the smallest pages fail or the list has no end.
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
    // Also of one page, which can show an item twice in the place of another.
    const fresh = answer.data.filter(({ id }) => !seen.has(id) && seen.add(id));
    const isOwedFor = shownItems === attempt.perPage && seen.size < Math.min(answer.totalCount ?? 0, cap);
    const hasNext = shownItems > 0 && (answer.hasNext || isOwedFor);
    yield { ...answer, data: fresh, hasNext };
    if (!hasNext) return;
    page += 1;
  }
  throw new TransientError("github/unexpected-answer", `GitHub's list did not end after ${maxPages} pages`);
}

/**
 * The pages as they are; a list that ends with fewer items than GitHub counted throws at its end.
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
      `GitHub promised ${promised} ${what} and showed ${shown}. They are listed again.`,
    );
}

export type CompleteList<T> = {
  /** Each id once, in GitHub's order. */
  readonly items: readonly T[];
  readonly unusable: readonly UnusableItem[];
  /** The largest `total_count` of its pages, at most the cap; undefined where GitHub gives none. */
  readonly promised: number | undefined;
  /** Whether it shows as many distinct items as it promises. Never rely on this alone to end a list. */
  readonly isWhole: boolean;
  /** Of its only page; undefined where it has several, or GitHub sent none. */
  readonly etag: string | undefined;
};

/** All pages of a list, with whether they show what GitHub promised. @throws as `paginate`. */
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
