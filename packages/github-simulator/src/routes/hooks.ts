// Webhook deliveries of an App, a repository or an organization: their lists, and redelivery.
// https://docs.github.com/rest/repos/webhooks#list-deliveries-for-a-repository-webhook

import { Hono } from "hono";

import type { Json } from "../render/repository.ts";
import type { Delivery } from "../webhooks.ts";
import { hookId } from "../webhooks.ts";
import { type ApiContext, type ApiDeps, type ApiEnv, notFound, numberOf } from "./context.ts";

/** GitHub keeps deliveries for three days; GHES for seven. */
const keptMs = { "github.com": 3 * 86_400_000, ghes: 7 * 86_400_000 } as const;

/** Mounted at `…/hook` of an App, whose paths contain no hook id, or at `…/hooks` of a repository or an organization. */
export function hookRoutes(deps: ApiDeps, belongsTo: (c: ApiContext) => (delivery: Delivery) => boolean): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  for (const prefix of ["/deliveries", "/:hook_id{[0-9]+}/deliveries"]) {
    const seen = (c: ApiContext): readonly Delivery[] | undefined => {
      const hook = c.req.param("hook_id");
      if (hook !== undefined && numberOf(hook) !== hookId) return undefined;
      const oldestMs = deps.clock.nowMs() - keptMs[deps.settings.face];
      return deps.webhooks.deliveries.filter((each) => each.deliveredAtMs >= oldestMs).filter(belongsTo(c));
    };
    app.get(prefix, (c) => listDeliveries(c, deps, seen(c)));
    app.get(`${prefix}/:delivery_id`, (c) => {
      const delivery = seen(c)?.find((each) => String(each.id) === c.req.param("delivery_id"));
      return delivery
        ? c.json({
            ...renderDelivery(delivery),
            url: deps.webhooks.url,
            request: requestOf(delivery),
            response: delivery.response,
          })
        : notFound(c, "/repos/webhooks");
    });
    app.post(`${prefix}/:delivery_id/attempts`, (c) => {
      const delivery = seen(c)?.find((each) => String(each.id) === c.req.param("delivery_id"));
      if (delivery === undefined) return notFound(c, "/repos/webhooks");
      deps.webhooks.redeliver(delivery);
      return c.json({}, 202);
    });
  }
  return app;
}

function requestOf({ request: { headers, body } }: Delivery): Json {
  return { headers, payload: JSON.parse(body) };
}

// Newest first, by cursor: the id of the last shown delivery.
function listDeliveries(c: ApiContext, deps: ApiDeps, deliveries: readonly Delivery[] | undefined): Response {
  if (deliveries === undefined) return notFound(c, "/repos/webhooks");
  const perPage = Math.min(numberOf(c.req.query("per_page")) ?? 30, 100);
  const cursor = numberOf(c.req.query("cursor")?.replace(/^v1_/, "")) ?? Infinity;
  const status = c.req.query("status");
  const matching = deliveries
    .filter((each) => each.id < cursor)
    .filter((each) => status === undefined || (each.statusCode >= 200 && each.statusCode < 300) === (status === "success"))
    .toReversed();
  const shown = matching.slice(0, perPage);
  const last = shown.at(-1);
  if (last !== undefined && matching.length > perPage) {
    const url = new URL(c.req.url);
    url.searchParams.set("cursor", `v1_${last.id}`);
    c.header("link", `<${deps.urls.api}${url.pathname}${url.search}>; rel="next"`);
  }
  return c.json(shown.map(renderDelivery));
}

function renderDelivery(delivery: Delivery): Json {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: new Date(delivery.deliveredAtMs).toISOString(),
    redelivery: delivery.redelivery,
    duration: delivery.durationSeconds,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: delivery.action,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    throttled_at: null,
  };
}
