// The whole simulated GitHub in memory, with the lookups that the API needs. Everything is added here, so that ids are unique and a
// repository's runs stay in order.

import type { Job, Owner, Repository, Run } from "./model.ts";

export type RepositoryLookup =
  | { readonly found: "here"; readonly repository: Repository }
  | { readonly found: "moved"; readonly repository: Repository };

export class World {
  readonly owners: Owner[] = [];
  readonly repositories: Repository[] = [];
  readonly runs = new Map<number, Run>();
  readonly jobs = new Map<number, Job>();
  /** What clients were shown so far, by a list, a single answer or a webhook: runs, and completed jobs. */
  readonly shown = { runs: new Set<number>(), jobs: new Set<number>() };
  /** Former `owner/name`, in lower case, of renamed and transferred repositories. */
  readonly #formerNames = new Map<string, Repository>();
  readonly #ids = new Set<number>();

  /** Takes the smallest free id from `from` on. Ids are unique over all kinds. */
  takeId(from: number): number {
    let id = Math.floor(from);
    while (this.#ids.has(id)) id++;
    this.#ids.add(id);
    return id;
  }

  addOwner(owner: Owner): Owner {
    this.owners.push(owner);
    return owner;
  }

  findOwner(login: string): Owner | undefined {
    return this.owners.find((owner) => owner.login.toLowerCase() === login.toLowerCase());
  }

  addRepository(repository: Repository): Repository {
    this.repositories.push(repository);
    return repository;
  }

  /** Finds by `owner/name` in any case, including former names, as GitHub does. A new repository takes the name over. */
  findRepository(fullName: string): RepositoryLookup | undefined {
    const wanted = fullName.toLowerCase();
    const here = this.repositories.find((repository) => !repository.hidden && fullNameOf(repository).toLowerCase() === wanted);
    if (here) return { found: "here", repository: here };
    const moved = this.#formerNames.get(wanted);
    return moved && !moved.hidden ? { found: "moved", repository: moved } : undefined;
  }

  findRepositoryById(id: number): Repository | undefined {
    return this.repositories.find((repository) => repository.id === id && !repository.hidden);
  }

  /** Renames or transfers. The old name answers 301 from now on. */
  moveRepository(repository: Repository, to: { readonly owner?: Owner; readonly name?: string }): void {
    this.#formerNames.set(fullNameOf(repository).toLowerCase(), repository);
    repository.owner = to.owner ?? repository.owner;
    repository.name = to.name ?? repository.name;
  }

  addRun(run: Run): Run {
    const { runs } = run.repository;
    if (run.listedAsMs !== undefined) run.repository.hasRunsOutOfOrder = true;
    const placeOf = ({ listedAsMs, createdAtMs }: Run) => listedAsMs ?? createdAtMs;
    // Usually the latest, so search from the end.
    const index = runs.findLastIndex((other) => placeOf(other) <= placeOf(run));
    runs.splice(index + 1, 0, run);
    this.runs.set(run.id, run);
    for (const attempt of run.attempts) for (const job of attempt.jobs) this.addJob(job);
    return run;
  }

  addJob(job: Job): Job {
    this.jobs.set(job.id, job);
    return job;
  }
}

export function fullNameOf(repository: Repository): string {
  return `${repository.owner.login}/${repository.name}`;
}
