// A store behind a proxy that injects faults into an S3 server's responses.

import { openS3Proxy, type S3Proxy } from "@actions-archive/testkit/s3-proxy";
import { startTestS3 } from "@actions-archive/testkit/test-s3";

import { openStore, type StoreSettings } from "../src/open-store.ts";
import type { Store } from "../src/store/store.ts";

export type StoreProxy = S3Proxy & { readonly settings: StoreSettings; readonly store: Store };

/** @param settings override those of the proxy. */
export async function openStoreProxy(settings: Partial<StoreSettings> = {}): Promise<StoreProxy> {
  await using resources = new AsyncDisposableStack();
  const front = resources.use(await openS3Proxy(resources.use(await startTestS3())));
  const all: StoreSettings = {
    ARCHIVE_URL: new URL(`s3://${front.s3.bucket}/${front.s3.prefix}`),
    S3_ENDPOINT: new URL(front.s3.endpoint),
    S3_FORCE_PATH_STYLE: true,
    ...settings,
  };
  const store = resources.use(await openStore(all));
  const opened = resources.move();
  return Object.assign(front, { settings: all, store, [Symbol.asyncDispose]: () => opened.disposeAsync() });
}
