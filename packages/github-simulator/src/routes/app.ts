// The endpoints of an App: itself, its installations, their tokens, and what an installation may see.
// https://docs.github.com/rest/apps/apps

import { Hono } from "hono";

import { appPermissions, type AppAuthority } from "../app-authority.ts";
import { renderFullRepository } from "../render/repository.ts";
import { seconds } from "../render/urls.ts";
import { type ApiContext, type ApiDeps, type ApiEnv, errorAnswer, notFound, numberOf, pagedAnswer } from "./context.ts";
import { hookRoutes } from "./hooks.ts";

const page = "/apps/apps";

export function appRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.use("/app/*", async (c, next) => {
    if (c.env.credential.kind !== "app") return errorAnswer(c, 401, "A JSON web token could not be decoded", page);
    await next();
    return undefined;
  });
  app.get("/app", (c) => withApp(c, deps, (authority) => c.json(authority.renderApp(deps.urls))));
  app.get("/app/installations", (c) =>
    withApp(c, deps, (authority) =>
      pagedAnswer(c, {
        items: authority.installations,
        path: "/app/installations",
        urls: deps.urls,
        bodyOf: (shown) => shown.map((each) => authority.renderInstallation(each, deps.urls)),
      }),
    ),
  );
  app.get("/app/installations/:id", (c) =>
    withApp(c, deps, (authority) => {
      const installation = authority.installations.find((each) => each.id === numberOf(c.req.param("id")));
      return installation ? c.json(authority.renderInstallation(installation, deps.urls)) : notFound(c, page);
    }),
  );
  app.post("/app/installations/:id/access_tokens", (c) => withApp(c, deps, (authority) => createToken(c, authority)));
  app.route(
    "/app/hook",
    hookRoutes(deps, () => () => true),
  );
  app.get("/orgs/:org/installation", (c) =>
    withApp(c, deps, (authority) => {
      const installation = authority.installationOf(c.req.param("org"));
      return installation ? c.json(authority.renderInstallation(installation, deps.urls)) : notFound(c, page);
    }),
  );
  app.get("/installation/repositories", (c) => listInstallationRepositories(c, deps));
  return app;
}

function withApp(c: ApiContext, deps: ApiDeps, answer: (authority: AppAuthority) => Response): Response {
  return deps.app === undefined || c.env.credential.kind !== "app" ? notFound(c, page) : answer(deps.app);
}

function createToken(c: ApiContext, authority: AppAuthority): Response {
  const installation = authority.installations.find((each) => each.id === numberOf(c.req.param("id")));
  if (installation === undefined) return notFound(c, page);
  const { token, expiresAtMs } = authority.issueToken(installation);
  const repository_selection = installation.selected === undefined ? "all" : "selected";
  return c.json({ token, expires_at: seconds(expiresAtMs), permissions: appPermissions, repository_selection }, 201);
}

function listInstallationRepositories(c: ApiContext, deps: ApiDeps): Response {
  const { credential } = c.env;
  if (credential.kind !== "installation")
    return errorAnswer(
      c,
      403,
      "You must authenticate with an installation access token in order to list repositories for an installation.",
      page,
    );
  const seen = deps.world.repositories.filter((repository) => !repository.hidden && credential.sees(repository));
  return pagedAnswer(c, {
    items: seen,
    path: "/installation/repositories",
    urls: deps.urls,
    bodyOf: (shown) => ({
      total_count: seen.length,
      repository_selection: "all",
      repositories: shown.map((repository) => renderFullRepository(repository, deps.urls, deps.clock.nowMs())),
    }),
  });
}
