// Parses "Set up job": the runner's version and machine, the token's permissions, and the actions that it downloads. The actions of
// local composite actions are downloaded later, in the step that uses them (ActionRunner.RunAsync, PrepareActionsAsync). Such a block
// counts only while its lines are consecutive, since a job's own output could print the same lines.

import type { LineText } from "./line-scanner.ts";
import { pulledImage, splitImage } from "./pulled-image.ts";
import type { MarkKind } from "./step-marks.ts";

export type ActionDownload = {
  readonly line_number: number;
  /** As in the log. */
  readonly time: string | undefined;
  /** `owner/name`, `owner/name/.github/workflows/file.yml` of a reusable workflow, or `docker://image`. */
  readonly action: string;
  readonly ref: string | null;
  /** The commit, or `sha256:…` of an image. */
  sha: string | null;
};

export type RunnerFacts = Readonly<Partial<Record<RunnerFact, string>>>;
type RunnerFact =
  | "version"
  | "name"
  | "group"
  | "machine"
  | "os"
  | "image"
  | "image_version"
  | "region"
  | "secret_source"
  | "cache_mode"
  | "provisioner";

const maxDownloads = 500;
const maxPermissions = 100;
const maxValue = 200;
/** "Set up job" has about a hundred lines, and thousands with debugging on. */
const maxSetUpLines = 10_000;

const facts: readonly (readonly [RegExp, RunnerFact])[] = [
  [/^Current runner version: '(.*)'/, "version"],
  [/^Runner name: '(.*)'/, "name"],
  [/^Runner group name: '(.*)'/, "group"],
  [/^Machine name: '(.*)'/, "machine"],
  [/^Secret source: (.*)/, "secret_source"],
  [/^Cache mode: (.*)/, "cache_mode"],
];
const groupFacts: readonly (readonly [group: RegExp, line: RegExp, RunnerFact])[] = [
  // Before 2022-10 the image was called the virtual environment.
  [/^(Runner Image|Virtual Environment)$/, /^(?:Image|Environment): (.*)/, "image"],
  [/^(Runner Image|Virtual Environment)$/, /^Version: (.*)/, "image_version"],
  [/ Provisioner$/, /^Azure Region: (.*)/, "region"],
  [/ Provisioner$/, /^(?:Version: )?(\d\S*)$/, "provisioner"],
];

/** Printed since 2.336 if the job has the workflow's lockfile (JobExtension.InitializeJob). */
const lockedActions = "Using locked action versions from the workflow's lockfile";

export class SetupJobParser {
  readonly downloads: ActionDownload[] = [];
  readonly tokenPermissions = new Map<string, string>();
  usesLockedActions = false;
  downloadsLeftOut = 0;
  permissionsLeftOut = 0;
  readonly #runner = new Map<RunnerFact, string>();
  #place: "before" | "set-up" | "steps" | "preparing" = "before";
  #hasMainBegun = false;
  #hasPrepared = false;
  #linesWanted = 0;
  #group: string | undefined;
  #package: { readonly line: LineText; readonly name: string; sha: string | null } | undefined;
  /** The image of the last pull, until its digest is printed. */
  #image: ActionDownload | undefined;
  /** The image of a failed pull: the next pull of it is a retry. */
  #failedImage: ActionDownload | undefined;
  /** The image named by the group of the current line. */
  #imageOfGroup: string | undefined;

  /** Whether the parser needs the text of every line now. */
  get wantsAll(): boolean {
    return this.isPreparing || (this.#place === "set-up" && this.#linesWanted < maxSetUpLines);
  }

  /** Whether the last line belonged to a block that downloads the actions of a local composite action. */
  get isPreparing(): boolean {
    return this.#place === "preparing";
  }

  get runner(): RunnerFacts {
    return Object.fromEntries(this.#runner);
  }

  /** Takes the next line. @param mark its kind of mark, if a step can begin there. */
  take(line: LineText, mark: MarkKind | undefined): void {
    if (mark === "set-up" && this.#place === "before") this.#place = "set-up";
    else if (mark !== undefined && mark !== "debug" && this.#place !== "before") this.#beginStep(mark);
    else if (line.kind === "prepare") this.#prepare();
    // A line without a timestamp continues the message above.
    if (this.isPreparing && line.time !== undefined && !isPreparation(line)) this.#place = "steps";
    if (this.#place === "set-up") this.#takeSetUp(line);
    if (this.#place === "set-up" || this.isPreparing) this.#takeDownload(line);
    if (this.#place !== "before") this.#takeImage(line);
  }

  // The runner prints the line once in "Set up job". The second one is the first step that downloads a local composite action's actions.
  #prepare(): void {
    if (this.#place === "steps" || (this.#place === "set-up" && this.#hasPrepared)) this.#place = "preparing";
    this.#hasPrepared = true;
  }

  #beginStep(mark: MarkKind): void {
    if (mark === "set-up") return;
    this.#place = "steps";
    this.#group = undefined;
    if (mark === "run" || mark === "post" || mark === "complete") this.#hasMainBegun = true;
  }

  #takeSetUp({ text, kind, time }: LineText): void {
    this.#linesWanted += 1;
    // A line without a timestamp continues a value, whose text is arbitrary.
    if (time === undefined) return;
    if (kind === "group") this.#group = text.slice("##[group]".length);
    else if (kind === "end-group") this.#group = undefined;
    else if (this.#group === undefined) {
      if (text === lockedActions) this.usesLockedActions = true;
      for (const [pattern, fact] of facts) this.#recordFact(fact, pattern.exec(text)?.[1]);
    } else if (this.#group === "GITHUB_TOKEN Permissions") this.#recordPermission(text);
    else if (this.#group === "Operating System") this.#runner.set("os", this.#joined("os", text));
    else {
      for (const [group, pattern, fact] of groupFacts)
        if (group.test(this.#group)) this.#recordFact(fact, pattern.exec(text)?.[1]);
    }
  }

  #recordFact(fact: RunnerFact, value: string | undefined): void {
    if (value !== undefined && !this.#runner.has(fact)) this.#runner.set(fact, value.slice(0, maxValue).toWellFormed());
  }

  #joined(fact: RunnerFact, text: string): string {
    return [this.#runner.get(fact), text].filter(Boolean).join(" ").slice(0, maxValue).toWellFormed();
  }

  #recordPermission(text: string): void {
    const [, name, level] = /^([^:]{1,100}): (.{1,100})$/.exec(text) ?? [];
    if (name === undefined || level === undefined || this.tokenPermissions.size >= maxPermissions) this.permissionsLeftOut += 1;
    else this.tokenPermissions.set(name, level);
  }

  #takeDownload(line: LineText): void {
    const { text, time, kind } = line;
    if (time === undefined) return;
    const download = /^Download action repository '([^'@]+)@([^']+)'(?: \(SHA:([0-9a-fA-F]+)\))?/.exec(text);
    if (download) return void this.#add(line, download[1] ?? "", download[2] ?? null, download[3] ?? null);
    const workflow = /^Uses: ([^@\s]+)@(\S+?)(?: \(([0-9a-f]{40,64})\))?$/.exec(text);
    if (workflow) {
      const [, action = "", ref = ""] = workflow;
      return void this.#add(line, action, ref, workflow[3] ?? (/^[0-9a-f]{40,64}$/.test(ref) ? ref : null));
    }
    const name = /^##\[group\]Download immutable action package '([^']+)'$/.exec(text)?.[1];
    if (name !== undefined) this.#package = { line, name, sha: null };
    if (this.#package === undefined) return;
    this.#package.sha ??= /^Source commit SHA: ([0-9a-fA-F]{40,64})$/.exec(text)?.[1] ?? null;
    if (kind !== "end-group") return;
    const at = this.#package.name.indexOf("@");
    const [action, ref] =
      at === -1 ? [this.#package.name, null] : [this.#package.name.slice(0, at), this.#package.name.slice(at + 1)];
    this.#add(this.#package.line, action, ref, this.#package.sha);
    this.#package = undefined;
  }

  // The runner pulls the images of container actions, the job's container and its services before the first step. Those of a local
  // composite action are pulled in its step, each in a group that names the image (ActionManager.PullActionContainerAsync).
  #takeImage(line: LineText): void {
    const { kind, text } = line;
    if (kind === "group") this.#imageOfGroup = /^##\[group\]Pull down action image '(.+)'$/.exec(text)?.[1];
    else if (kind === "end-group") this.#imageOfGroup = this.#image = undefined;
    else if (kind === "command") this.#takePull(line, pulledImage(text));
    else if (kind === "digest" && this.#image !== undefined) {
      this.#image.sha ??= /^Digest: (sha256:[0-9a-f]{64})$/.exec(text)?.[1] ?? null;
      this.#image = undefined;
    } else if (kind === "warning" && text.startsWith("##[warning]Docker pull failed with exit code")) {
      this.#failedImage = this.#image;
    }
  }

  #takePull(line: LineText, image: string | undefined): void {
    const failed = this.#failedImage;
    this.#failedImage = this.#image = undefined;
    if (image === undefined || (this.#hasMainBegun && image !== this.#imageOfGroup)) return;
    const { action, ref } = splitImage(image);
    const isRetry = failed?.action === action && failed.ref === ref;
    this.#image = isRetry ? failed : this.#add(line, action, ref, null);
  }

  /** Adds a download and returns it; undefined if the list is full. */
  #add(line: LineText, action: string, ref: string | null, sha: string | null): ActionDownload | undefined {
    if (this.downloads.length >= maxDownloads) {
      this.downloadsLeftOut += 1;
      return undefined;
    }
    const download = {
      line_number: line.number,
      time: line.time,
      action: action.toWellFormed(),
      ref: ref?.toWellFormed() ?? null,
      sha: sha?.toLowerCase() ?? null,
    };
    this.downloads.push(download);
    return download;
  }
}

function isPreparation({ kind, text }: LineText): boolean {
  return (
    kind === "prepare" ||
    kind === "download" ||
    kind === "end-group" ||
    /^(##\[group\]Download immutable action package '|Version: |Digest: |Source commit SHA: |##\[debug\]|##\[warning\]|Failed to resolve action download info|Retrying in )/.test(
      text,
    )
  );
}
