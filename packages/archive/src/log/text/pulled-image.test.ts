// Images that the runner pulls are action uses, in all forms of the command.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { encode, jobStep, logBytes } from "../../../test-support/log-lines.ts";
import { logFacts } from "../facts/log-facts.ts";
import { pulledImage, splitImage } from "./pulled-image.ts";

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const at = (second: number, ...texts: string[]) => texts.map((text) => ({ at: second, text }));
const temp = "/opt/runner/_work/_temp";
const config = `--config ${temp}/.docker_5f6c1d7e-0d5e-4f7b-9c55-0c1fb2f3a001`;
const setUp = at(0.1, "Current runner version: '2.336.0'", "Prepare all required actions");
const usesIn = (step: string, ...lines: { at: number; text: string }[][]) =>
  logFacts(encode(logBytes([...setUp, ...lines.flat()])), [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Initialize containers", [1, 2]),
    jobStep(3, step, [3, 9]),
  ]).action_uses.map(({ action, ref, sha, line_number, step_number }) => [action, ref, sha, line_number, step_number]);
const usesOf = (...lines: { at: number; text: string }[][]) => usesIn("Run ./report", ...lines);

test("images that are pulled with a registry's credentials are uses", () => {
  expect(
    usesOf(
      at(1.1, "##[group]Checking docker version", "##[command]/usr/bin/docker version --format '{{.Client.APIVersion}}'"),
      at(1.2, "##[endgroup]", "##[group]Starting job container"),
      at(1.2, `##[command]/usr/bin/docker ${config} login registry.acme.test:8443 -u robot --password-stdin`),
      at(1.3, `##[command]/usr/bin/docker ${config} pull registry.acme.test:8443/ci/base:22`, `Digest: ${digest("1")}`),
      at(1.4, "##[command]/usr/bin/docker create --name a1 registry.acme.test:8443/ci/base:22", "##[endgroup]"),
      at(1.5, "##[group]Starting queue service container"),
      at(1.6, `##[command]/usr/bin/docker ${config} pull ghcr.io/acme/queue:3@${digest("2")}`, `Digest: ${digest("2")}`),
      at(1.7, "##[endgroup]", "##[group]Run ./build", "##[endgroup]"),
      at(2.1, `##[command]/usr/bin/docker ${config} pull acme/fake:1`),
    ),
  ).toEqual([
    ["docker://registry.acme.test:8443/ci/base", "22", digest("1"), 8, null],
    ["docker://ghcr.io/acme/queue", digest("2"), digest("2"), 13, null],
  ]);
});

test("a retry is the same use; the same image for another container is another use", () => {
  const failed = "##[warning]Docker pull failed with exit code 1, back off 4.2 seconds before retry.";
  const pull = `##[command]/usr/bin/docker ${config} pull acme/db:9`;
  expect(
    usesOf(
      at(1.1, "##[group]Starting db service container", pull, "Error response from daemon: denied", failed),
      at(1.4, pull, `Digest: ${digest("3")}`, "##[endgroup]"),
      at(1.5, "##[group]Starting replica service container", pull, `Digest: ${digest("4")}`, "##[endgroup]"),
    ),
  ).toEqual([
    ["docker://acme/db", "9", digest("3"), 4, null],
    ["docker://acme/db", "9", digest("4"), 11, null],
  ]);
});

test("a digest belongs to the pull right above it, and to nothing else", () => {
  expect(
    usesOf(
      at(1.1, "##[group]Starting job container", "##[command]/usr/bin/docker pull acme/quiet:1", "##[endgroup]"),
      at(1.2, "##[group]Build container for action use: '/x/Dockerfile'.", `Digest: ${digest("5")}`, "##[endgroup]"),
      at(
        1.3,
        "##[command]/usr/bin/docker pull acme/quiet:2",
        "##[command]/usr/bin/docker build -t x .",
        `Digest: ${digest("6")}`,
      ),
    ),
  ).toEqual([
    ["docker://acme/quiet", "1", null, 4, null],
    ["docker://acme/quiet", "2", null, 9, null],
  ]);
});

test("the image of an action inside a local composite action is pulled in its step, in a group that names it", () => {
  const pull = "##[command]/usr/bin/docker pull acme/lint:2";
  expect(
    usesOf(
      at(3.1, "##[group]Run ./report", "##[endgroup]"),
      at(3.2, "##[group]Pull down action image 'acme/lint:2'", pull, `Digest: ${digest("7")}`, "##[endgroup]"),
      at(
        3.3,
        "##[group]Run docker://acme/lint:2",
        "##[endgroup]",
        pull,
        "##[group]Run docker://acme/lint-more:2",
        "##[endgroup]",
      ),
      at(3.4, "##[group]Pull down action image 'acme/lint:3'", pull, "##[endgroup]"),
    ),
  ).toEqual([["docker://acme/lint", "2", digest("7"), 6, 3]]);
});

test("a step that runs an image by tag and digest is the step of its use", () => {
  const image = `r.acme.test:5000/lint:2@${digest("9")}`;
  expect(
    usesIn(
      "Lint",
      at(0.5, `##[group]Pull down action image '${image}'`, `##[command]/usr/bin/docker pull ${image}`, "##[endgroup]"),
      at(3.1, `##[group]Run docker://${image}`, "##[endgroup]", "clean"),
    ),
  ).toEqual([["docker://r.acme.test:5000/lint", digest("9"), null, 4, 3]]);
});

test.for([
  ["/usr/bin/docker pull acme/a", "acme/a"],
  ["/usr/bin/docker image pull acme/a:1", "acme/a:1"],
  [`/usr/bin/docker ${config} pull acme/a`, "acme/a"],
  ["/usr/bin/docker --config /home/ci agent/_work/_temp/.docker_1 pull acme/a:1", "acme/a:1"],
  ['/usr/bin/docker --config "/home/ci agent/_temp/.docker_1" pull acme/a:1', "acme/a:1"],
  ["/usr/bin/docker --config=/x -H tcp://build-3:2375 pull --quiet --platform linux/arm64 acme/a:1", "acme/a:1"],
  ["docker pull acme/a", "acme/a"],
  ["/opt/podman/bin/podman pull quay.io/acme/a", "quay.io/acme/a"],
  ["C:\\Program Files\\Docker\\docker.exe --config C:\\a b\\.docker_1 pull acme/a:ltsc2025", "acme/a:ltsc2025"],
  ['"C:\\Program Files\\Docker\\Docker.EXE" pull "acme/a:1"', "acme/a:1"],
  [`/usr/bin/docker ${config} login pull.acme.test -u pull --password-stdin`, undefined],
  [`/usr/bin/docker ${config} exec a1 git pull origin`, undefined],
  ["/usr/bin/docker exec a1 git pull origin", undefined],
  ["/usr/bin/docker create --name a1 --entrypoint pull acme/a", undefined],
  ["/usr/bin/docker pull", undefined],
  ["/usr/bin/docker pull --all-tags", undefined],
  ["/usr/bin/git pull acme/a", undefined],
  ["/usr/bin/mydocker pull acme/a", undefined],
] as const)("%s pulls %s", ([command, image]) => {
  expect(pulledImage(`##[command]${command}`)).toBe(image);
});

test("an image's name, tag and digest are read, and a registry's port is part of the name", () => {
  expect(
    ["a", "a:1", `a:1@${digest("8")}`, "r.test:5000/a", "r.test:5000/a:1", "localhost:5000/b/a@sha512:ab12", ""].map(splitImage),
  ).toEqual([
    { action: "docker://a", ref: null },
    { action: "docker://a", ref: "1" },
    { action: "docker://a", ref: digest("8") },
    { action: "docker://r.test:5000/a", ref: null },
    { action: "docker://r.test:5000/a", ref: "1" },
    { action: "docker://localhost:5000/b/a", ref: "sha512:ab12" },
    { action: "docker://", ref: null },
  ]);
});

const shared = fileURLToPath(new URL("../../../../../../shared/cases/docker-config-pull/log.txt", import.meta.url));

test.skipIf(!existsSync(shared))("the reported images are all found (skipped without ../shared/cases)", () => {
  const { action_uses } = logFacts(encode(readFileSync(shared)), []);
  expect(action_uses.map(({ action, ref, sha, step_number }) => [action, ref, sha, step_number])).toEqual([
    ["docker://ghcr.io/example/builder", "latest", digest("a"), null],
    ["docker://registry.example.com:5000/team/db", digest("b"), digest("b"), null],
    ["docker://redis", "7", digest("c"), null],
  ]);
});
