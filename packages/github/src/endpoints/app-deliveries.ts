// Lists failed deliveries of an App's webhook and requests redeliveries.
// https://docs.github.com/en/rest/apps/webhooks

import { GitHubId } from "@actions-archive/core/ids";
import { z } from "zod";

import type { Answer } from "../api.ts";
import type { Credential } from "../api.ts";
import { type GitHub, parseAs } from "../github.ts";
import { idOf } from "../paths.ts";
import { errorFromAnswer } from "../transport/failure.ts";

type AsApp = { readonly credential: Credential; readonly signal?: AbortSignal | undefined };

/** One attempt of a delivery; a redelivery has another id and the same guid. */
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

/** GitHub's maximum. */
const perPage = 100;

/**
 * Deliveries of the App's webhook, newest first, page by page. GitHub keeps them for three days, a GHES for seven. Only failed ones if the
 * server supports that filter, so check `status_code`. `credential` is the App itself.
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
    const answer = await github.send({ path, query, subject: { credential }, signal });
    if (answer.status !== 200) throw errorFromAnswer(answer, `GET ${path}`);
    const data = parseAs(z.array(AppDelivery), answer, `GET ${path}`);
    yield { data, date: answer.date, skewMs: answer.skewMs, etag: undefined };
    cursor = data.length === 0 ? undefined : nextCursor(answer.headers["link"]);
  } while (cursor !== undefined);
}

/**
 * Requests a redelivery, which GitHub sends soon and with the same guid; it does not redeliver by itself. `credential` is the App itself.
 * https://docs.github.com/en/rest/apps/webhooks#redeliver-a-delivery-for-an-app-webhook
 * @throws PermanentError when GitHub no longer has the delivery; RateLimitedError, TransientError.
 */
export async function redeliverAppDelivery(
  github: GitHub,
  { credential, deliveryId, signal }: AsApp & { readonly deliveryId: number },
): Promise<void> {
  const path = `/app/hook/deliveries/${idOf(deliveryId)}/attempts`;
  // Without retries: a request that seemed to fail may have succeeded, which the next sweep finds out.
  const answer = await github.send({ method: "POST", path, subject: { credential }, signal, retries: 0 });
  if (answer.status !== 202) throw errorFromAnswer(answer, `POST ${path}`);
}

// Only the cursor of the URL is used, since the URL may have another path.
function nextCursor(link: string | string[] | undefined): string | undefined {
  const next = /<([^>]+)>;\s*rel="?next"?/.exec(String(link ?? ""))?.[1];
  return (next === undefined ? null : URL.parse(next, "https://api.github.com")?.searchParams.get("cursor")) ?? undefined;
}
