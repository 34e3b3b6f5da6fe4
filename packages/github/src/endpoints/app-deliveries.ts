// The deliveries of an App's webhook: which of them did not arrive, and the request to send one again.
// https://docs.github.com/en/rest/apps/webhooks

import { GitHubId } from "@actions-archive/core/ids";
import { z } from "zod";

import type { Answer } from "../api.ts";
import type { Credential } from "../api.ts";
import { type GitHub, parseAs } from "../github.ts";
import { idOf } from "../paths.ts";
import { errorFromAnswer } from "../transport/failure.ts";

type AsApp = { readonly credential: Credential; readonly signal?: AbortSignal | undefined };

/** One try to deliver; a redelivery has another id and the same guid. */
export const AppDelivery = z.looseObject({
  id: GitHubId,
  guid: z.string().min(1),
  delivered_at: z.string(),
  status_code: z.number(),
  event: z.string(),
  action: z.string().nullish(),
  repository_id: z.number().nullish(),
});
export type AppDelivery = z.output<typeof AppDelivery>;

/** A page holds 100; GitHub's lists of a busy App have no end that is worth reaching. */
const perPage = 100;

/**
 * Deliveries of the App's webhook, newest first, page by page; GitHub keeps them for three days, a GHES for seven. Those that
 * failed alone, where the server knows that filter: check `status_code`. `credential` is the App itself.
 * https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook
 * @throws PermanentError, RateLimitedError, TransientError.
 */
export async function* listAppDeliveries(
  github: GitHub,
  { credential, signal }: AsApp,
): AsyncGenerator<Answer<readonly AppDelivery[]>, void, undefined> {
  const path = "/app/hook/deliveries";
  let cursor: string | undefined;
  do {
    const query = { per_page: perPage, status: "failure", cursor };
    const answer = await github.ask({ path, query, subject: { credential }, signal });
    if (answer.status !== 200) throw errorFromAnswer(answer, `GET ${path}`);
    const data = parseAs(z.array(AppDelivery), answer, `GET ${path}`);
    yield { data, date: answer.date, skewMs: answer.skewMs, etag: undefined };
    cursor = data.length === 0 ? undefined : nextCursor(answer.headers["link"]);
  } while (cursor !== undefined);
}

/**
 * Has a delivery sent again, soon and under its guid. GitHub does not send one again by itself. `credential` is the App itself.
 * https://docs.github.com/en/rest/apps/webhooks#redeliver-a-delivery-for-an-app-webhook
 * @throws PermanentError when GitHub has forgotten it; RateLimitedError, TransientError.
 */
export async function redeliverAppDelivery(
  github: GitHub,
  { credential, deliveryId, signal }: AsApp & { readonly deliveryId: number },
): Promise<void> {
  const path = `/app/hook/deliveries/${idOf(deliveryId)}/attempts`;
  // Asked once: a try that seemed to fail may have been heard, and the next sweep sees whether it was.
  const answer = await github.ask({ method: "POST", path, subject: { credential }, signal, retries: 0 });
  if (answer.status !== 202) throw errorFromAnswer(answer, `POST ${path}`);
}

// The URL itself is not followed: it may name another path, the cursor in it is all that is needed.
function nextCursor(link: string | string[] | undefined): string | undefined {
  const next = /<([^>]+)>;\s*rel="?next"?/.exec(String(link ?? ""))?.[1];
  return (next === undefined ? null : URL.parse(next, "https://api.github.com")?.searchParams.get("cursor")) ?? undefined;
}
