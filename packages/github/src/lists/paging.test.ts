// How lists are walked, against pages written for the case.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { expect, test } from "vitest";

import type { Page } from "../api.ts";
import { collectPages, fetchFirstPage, paginate, type PageRequest } from "./paging.ts";

type Item = { readonly id: number };

const started = Date.parse("2026-01-01T00:00:00Z");

/** A server with `count` items that refuses pages larger than `maxPageSize`. */
function server(count: number, { maxPageSize = 100, failure = new TransientError("github/unavailable", "502") } = {}) {
  const requests: PageRequest[] = [];
  const fetchPage = async (request: PageRequest): Promise<Page<Item>> => {
    requests.push(request);
    const { page, perPage } = request;
    if (perPage > maxPageSize) throw failure;
    const data = Array.from({ length: count }, (_, index) => ({ id: index + 1 })).slice((page - 1) * perPage, page * perPage);
    return {
      data,
      date: new Date(started + requests.length * 1_000),
      skewMs: undefined,
      etag: undefined,
      hasNext: page * perPage < count,
    };
  };
  return { requests, fetchPage };
}

async function collect(pages: AsyncIterable<Page<Item>>): Promise<Page<Item>[]> {
  const found: Page<Item>[] = [];
  for await (const page of pages) found.push(page);
  return found;
}

async function ids(pages: AsyncIterable<Page<Item>>): Promise<number[]> {
  return (await collect(pages)).flatMap(({ data }) => data.map(({ id }) => id));
}

test("every item is yielded once, and the last page is the one without a next link", async () => {
  const { requests, fetchPage } = server(250);
  const pages = await collect(paginate(fetchPage));
  expect(pages.map(({ data, hasNext }) => [data.length, hasNext])).toEqual([
    [100, true],
    [100, true],
    [50, false],
  ]);
  expect(requests.map(({ page }) => page)).toEqual([1, 2, 3]);
});

test("a list that fails in large pages starts again in smaller ones", async () => {
  const { requests, fetchPage } = server(25, { maxPageSize: 10 });
  expect(await ids(paginate(fetchPage))).toHaveLength(25);
  expect(requests.map(({ page, perPage }) => [page, perPage])).toEqual([
    [1, 100],
    [1, 30],
    [1, 10],
    [2, 10],
    [3, 10],
  ]);
});

test("items yielded before a list is restarted are not yielded twice", async () => {
  const { fetchPage } = server(250);
  let failed = false;
  const flaky = async (request: PageRequest) => {
    if (request.page === 2 && !failed) {
      failed = true;
      throw new TransientError("github/unavailable", "502");
    }
    return fetchPage(request);
  };
  expect(await ids(paginate(flaky))).toEqual(Array.from({ length: 250 }, (_, index) => index + 1));
});

test("items that move to the next page during the listing are yielded once", async () => {
  const pages = [
    [1, 2],
    [2, 3],
  ];
  const shifting = async ({ page }: PageRequest): Promise<Page<Item>> => ({
    data: (pages[page - 1] ?? []).map((id) => ({ id })),
    date: new Date(started),
    skewMs: undefined,
    etag: undefined,
    hasNext: page < pages.length,
  });
  expect(await ids(paginate(shifting))).toEqual([1, 2, 3]);
});

test("a list with an item twice, in place of another, is not complete", async () => {
  const data = [{ id: 1 }, { id: 2 }, { id: 1 }];
  const fetchPage = async (): Promise<Page<Item>> => ({
    data,
    date: new Date(started),
    etag: undefined,
    skewMs: 0,
    hasNext: false,
    totalCount: 3,
  });
  expect(await collectPages(paginate(fetchPage))).toEqual({
    items: [{ id: 1 }, { id: 2 }],
    unusable: [],
    promised: 3,
    isWhole: false,
  });
});

test("an empty page ends a list even if it has a next link", async () => {
  let calls = 0;
  const endless = async (): Promise<Page<Item>> => {
    calls += 1;
    return { data: [], date: new Date(started), skewMs: undefined, etag: undefined, hasNext: true };
  };
  expect(await ids(paginate(endless))).toEqual([]);
  expect(calls).toBe(1);
});

test("a list that has no end is an error", async () => {
  let id = 0;
  const endless = async (): Promise<Page<Item>> => ({
    data: [{ id: (id += 1) }],
    date: new Date(started),
    skewMs: undefined,
    etag: undefined,
    hasNext: true,
  });
  await expect(ids(paginate(endless))).rejects.toMatchObject({ code: "github/unexpected-answer" });
});

test("only an unavailable page is requested again in smaller pages", async () => {
  const failure = new PermanentError("github/not-found", "404");
  const { requests, fetchPage } = server(5, { maxPageSize: 1, failure });
  await expect(ids(paginate(fetchPage))).rejects.toBe(failure);
  expect(requests).toHaveLength(1);
});

test("the last failure is thrown when even the smallest page fails", async () => {
  const { requests, fetchPage } = server(5, { maxPageSize: 1 });
  await expect(ids(paginate(fetchPage))).rejects.toMatchObject({ code: "github/unavailable" });
  expect(requests.map(({ perPage }) => perPage)).toEqual([100, 30, 10]);
});

test("a first page is requested in smaller sizes until it succeeds or the smallest fails", async () => {
  const { requests, fetchPage } = server(250, { maxPageSize: 10 });
  expect((await fetchFirstPage(fetchPage)).data).toHaveLength(10);
  expect(requests.map(({ page, perPage }) => [page, perPage])).toEqual([
    [1, 100],
    [1, 30],
    [1, 10],
  ]);
  await expect(fetchFirstPage(server(250, { maxPageSize: 1 }).fetchPage)).rejects.toThrow("502");
  const gone = server(250, { maxPageSize: 1, failure: new PermanentError("github/not-found", "404") });
  await expect(fetchFirstPage(gone.fetchPage)).rejects.toThrow("404");
  expect(gone.requests).toHaveLength(1);
});
