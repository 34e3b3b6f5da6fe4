// Users and repositories as GitHub's API shows them: `simple-user`, `minimal-repository` and `full-repository` of its OpenAPI
// description.

import type { Owner, Repository } from "../world/model.ts";
import { fullNameOf } from "../world/world.ts";
import { nodeId, seconds, type Urls } from "./urls.ts";

export type Json = Record<string, unknown>;

export function renderUser(owner: Owner, urls: Urls): Json {
  const url = `${urls.api}/users/${owner.login}`;
  return {
    login: owner.login,
    id: owner.id,
    node_id: nodeId("U", owner.id),
    avatar_url: `${urls.web}/avatars/u/${owner.id}?v=4`,
    gravatar_id: "",
    url,
    html_url: `${urls.web}/${owner.login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: owner.type,
    site_admin: false,
  };
}

const templates: readonly (readonly [string, string])[] = [
  ["archive_url", "/{archive_format}{/ref}"],
  ["assignees_url", "/assignees{/user}"],
  ["blobs_url", "/git/blobs{/sha}"],
  ["branches_url", "/branches{/branch}"],
  ["collaborators_url", "/collaborators{/collaborator}"],
  ["comments_url", "/comments{/number}"],
  ["commits_url", "/commits{/sha}"],
  ["compare_url", "/compare/{base}...{head}"],
  ["contents_url", "/contents/{+path}"],
  ["contributors_url", "/contributors"],
  ["deployments_url", "/deployments"],
  ["downloads_url", "/downloads"],
  ["events_url", "/events"],
  ["forks_url", "/forks"],
  ["git_commits_url", "/git/commits{/sha}"],
  ["git_refs_url", "/git/refs{/sha}"],
  ["git_tags_url", "/git/tags{/sha}"],
  ["hooks_url", "/hooks"],
  ["issue_comment_url", "/issues/comments{/number}"],
  ["issue_events_url", "/issues/events{/number}"],
  ["issues_url", "/issues{/number}"],
  ["keys_url", "/keys{/key_id}"],
  ["labels_url", "/labels{/name}"],
  ["languages_url", "/languages"],
  ["merges_url", "/merges"],
  ["milestones_url", "/milestones{/number}"],
  ["notifications_url", "/notifications{?since,all,participating}"],
  ["pulls_url", "/pulls{/number}"],
  ["releases_url", "/releases{/id}"],
  ["stargazers_url", "/stargazers"],
  ["statuses_url", "/statuses/{sha}"],
  ["subscribers_url", "/subscribers"],
  ["subscription_url", "/subscription"],
  ["tags_url", "/tags"],
  ["teams_url", "/teams"],
  ["trees_url", "/git/trees{/sha}"],
];

/** The form inside a run, and in an organization's list. */
export function renderRepository(repository: Repository, urls: Urls): Json {
  const url = `${urls.api}/repos/${fullNameOf(repository)}`;
  return {
    id: repository.id,
    node_id: nodeId("R", repository.id),
    name: repository.name,
    full_name: fullNameOf(repository),
    private: repository.private,
    owner: renderUser(repository.owner, urls),
    html_url: `${urls.web}/${fullNameOf(repository)}`,
    description: null,
    fork: false,
    url,
    ...Object.fromEntries(templates.map(([name, suffix]) => [name, url + suffix])),
  };
}

/** The form of the repository's own endpoint and an installation's list. */
export function renderFullRepository(repository: Repository, urls: Urls, nowMs: number): Json {
  const page = `${urls.web}/${fullNameOf(repository)}`;
  // Not the current time, since an unchanged repository must keep its ETag.
  const touchedAtMs = repository.runs.findLast((run) => run.createdAtMs <= nowMs)?.createdAtMs ?? repository.createdAtMs;
  return {
    ...renderRepository(repository, urls),
    created_at: seconds(repository.createdAtMs),
    updated_at: seconds(touchedAtMs),
    pushed_at: seconds(touchedAtMs),
    git_url: `${page.replace(/^https?:/, "git:")}.git`,
    ssh_url: `git@${new URL(urls.web).hostname}:${fullNameOf(repository)}.git`,
    clone_url: `${page}.git`,
    svn_url: page,
    homepage: null,
    size: 1_024,
    stargazers_count: 0,
    watchers_count: 0,
    language: "TypeScript",
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: false,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived: false,
    disabled: false,
    open_issues_count: 0,
    license: null,
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    visibility: repository.private ? "private" : "public",
    forks: 0,
    open_issues: 0,
    watchers: 0,
    default_branch: repository.defaultBranch,
    permissions: { admin: false, maintain: false, push: false, triage: false, pull: true },
    network_count: 0,
    subscribers_count: 0,
  };
}
