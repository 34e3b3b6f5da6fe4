// GitHub's metadata, and the client's rate limits.
// https://docs.github.com/rest/meta/meta and https://docs.github.com/rest/rate-limit/rate-limit

import { Hono } from "hono";

import { type ApiDeps, type ApiEnv, errorAnswer } from "./context.ts";

export function metaRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.get("/rate_limit", (c) => {
    if (!deps.limits.isOn)
      return errorAnswer(
        c,
        404,
        "Rate limiting is not enabled.",
        "/rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user",
      );
    const core = deps.limits.reading(c.env.credential);
    const other = (limit: number) => ({ limit, used: 0, remaining: limit, reset: core.reset });
    const resources = {
      core,
      search: other(30),
      graphql: other(5_000),
      code_search: other(10),
      integration_manifest: other(5_000),
    };
    return c.json({ resources, rate: core });
  });
  app.get("/meta", (c) => {
    const domains = {
      actions: [
        "*.actions.githubusercontent.com",
        "productionresultssa0.blob.core.windows.net",
        "productionresultssa199.blob.core.windows.net",
      ],
    };
    const common = { verifiable_password_authentication: false };
    return c.json(
      deps.settings.face === "ghes"
        ? { ...common, installed_version: deps.settings.ghesVersion }
        : { ...common, hooks: ["127.0.0.0/8"], actions: ["127.0.0.0/8"], domains },
    );
  });
  return app;
}
