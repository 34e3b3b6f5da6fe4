// Repositories: by name, by id, by owner, by credential; and their settings.
// https://docs.github.com/rest/repos/repos and /rest/actions/permissions

import { Hono } from "hono";

import { renderFullRepository, renderRepository, renderUser } from "../render/repository.ts";
import type { Owner, Repository } from "../world/model.ts";
import { type ApiContext, type ApiDeps, type ApiEnv, hasFeature, notFound, numberOf, pagedAnswer } from "./context.ts";
import { hookRoutes } from "./hooks.ts";
import { jobRoutes } from "./jobs.ts";
import { runRoutes } from "./runs.ts";

const maximumRetentionDays = { public: 90, private: 400 } as const;

/** Routes below `/repos/{owner}/{repo}` and `/repositories/{id}`, and the lists of repositories. */
export function repositoryRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.get("/orgs/:owner/repos", (c) => listOwned(c, deps, "orgs"));
  app.get("/users/:owner/repos", (c) => listOwned(c, deps, "users"));
  // Targets of the `Link` headers of the two lists above.
  app.get("/organizations/:id/repos", (c) => listOwned(c, deps, "orgs"));
  app.get("/user/:id{[0-9]+}/repos", (c) => listOwned(c, deps, "users"));
  app.get("/user/repos", (c) => listFor(c, deps, "/user/repos"));
  app.get("/orgs/:owner/actions/permissions/artifact-and-log-retention", (c) => {
    const owner = deps.world.findOwner(c.req.param("owner"));
    if (!owner || !hasFeature(deps.settings, "3.19")) return notFound(c, "/actions/permissions");
    return c.json({ days: deps.settings.retentionDays, maximum_allowed_days: maximumRetentionDays.private });
  });

  app.use("/repos/:owner/:repo/*", async (c, next) => resolveByName(c, deps, next));
  app.use("/repositories/:id/*", async (c, next) => resolveById(c, deps, next));
  const one = oneRepositoryRoutes(deps);
  app.route("/repos/:owner/:repo", one);
  app.route("/repositories/:id", one);
  return app;
}

function oneRepositoryRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.get("/", (c) => c.json(renderFullRepository(c.var.repository, deps.urls, deps.clock.nowMs())));
  app.get("/actions/permissions/artifact-and-log-retention", (c) => {
    if (!hasFeature(deps.settings, "3.19")) return notFound(c, "/actions/permissions");
    const { retentionDays, private: isPrivate } = c.var.repository;
    return c.json({
      days: retentionDays,
      maximum_allowed_days: isPrivate ? maximumRetentionDays.private : maximumRetentionDays.public,
    });
  });
  app.get("/installation", (c) => {
    const installation = deps.app?.installationOf(c.var.repository.owner.login);
    if (!deps.app || !installation?.sees(c.var.repository)) return notFound(c, "/apps/apps");
    return c.json(deps.app.renderInstallation(installation, deps.urls));
  });
  app.route("/", runRoutes(deps));
  app.route("/", jobRoutes(deps));
  app.route(
    "/hooks",
    hookRoutes(deps, (c) => (delivery) => delivery.repositoryId === c.var.repository.id),
  );
  return app;
}

async function resolveByName(c: ApiContext, deps: ApiDeps, next: () => Promise<void>): Promise<Response | undefined> {
  const name = `${c.req.param("owner")}/${c.req.param("repo")}`;
  const lookup = deps.world.findRepository(name);
  if (lookup === undefined || !maySee(c, lookup.repository)) return notFound(c, "/repos/repos#get-a-repository");
  if (lookup.found === "moved") return movedAnswer(c, deps, lookup.repository);
  c.set("repository", lookup.repository);
  await next();
  return undefined;
}

async function resolveById(c: ApiContext, deps: ApiDeps, next: () => Promise<void>): Promise<Response | undefined> {
  const repository = deps.world.findRepositoryById(numberOf(c.req.param("id")) ?? 0);
  if (repository === undefined || !maySee(c, repository)) return notFound(c);
  c.set("repository", repository);
  await next();
  return undefined;
}

// An App's own token sees no repository, but may query where the App is installed.
function maySee(c: ApiContext, repository: Repository): boolean {
  const { credential } = c.env;
  return credential.sees(repository) || (credential.kind === "app" && c.req.path.endsWith("/installation"));
}

// 301 for reads, 307 for the rest, both to the path with the id: GitHub's answer after a rename or a transfer.
function movedAnswer(c: ApiContext, deps: ApiDeps, repository: Repository): Response {
  const { pathname, search } = new URL(c.req.url);
  const rest = pathname.split("/").slice(4).join("/");
  const url = `${deps.urls.api}/repositories/${repository.id}${rest === "" ? "" : `/${rest}`}${search}`;
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  c.header("location", url);
  const message = isRead ? "Moved Permanently" : "Temporary Redirect";
  const documentation_url = "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects";
  return c.json({ message, url, documentation_url }, isRead ? 301 : 307);
}

function listOwned(c: ApiContext, deps: ApiDeps, kind: "orgs" | "users"): Response {
  const id = numberOf(c.req.param("id"));
  const owner = deps.world.owners.find((each) => each.id === id) ?? deps.world.findOwner(c.req.param("owner") ?? "");
  if (owner === undefined || (kind === "orgs" && owner.type !== "Organization")) return notFound(c, "/repos/repos");
  const base = kind === "orgs" ? `/organizations/${owner.id}/repos` : `/user/${owner.id}/repos`;
  return listFor(c, deps, base, owner);
}

function listFor(c: ApiContext, deps: ApiDeps, path: string, owner?: Owner): Response {
  const seen = deps.world.repositories.filter(
    (each) => !each.hidden && c.env.credential.sees(each) && (owner === undefined || each.owner === owner),
  );
  return pagedAnswer(c, {
    items: seen,
    path,
    urls: deps.urls,
    bodyOf: (shown) =>
      shown.map((each) =>
        owner === undefined ? renderFullRepository(each, deps.urls, deps.clock.nowMs()) : renderRepository(each, deps.urls),
      ),
  });
}

/** `/users/{login}` and `/orgs/{login}`, with which clients find out the kind of an account. */
export function ownerRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.get("/users/:owner", (c) => {
    const owner = deps.world.findOwner(c.req.param("owner"));
    if (!owner) return notFound(c, "/users/users#get-a-user");
    const times = { created_at: "2020-01-01T00:00:00Z", updated_at: "2020-01-01T00:00:00Z" };
    const profile = { name: null, company: null, blog: null, location: null, email: null, hireable: null, bio: null };
    return c.json({
      ...renderUser(owner, deps.urls),
      ...profile,
      public_repos: 0,
      public_gists: 0,
      followers: 0,
      following: 0,
      ...times,
    });
  });
  return app;
}
