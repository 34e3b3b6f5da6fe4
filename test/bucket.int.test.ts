// Runs the command with which docker-compose.yml creates the bucket, like compose does.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

import { startTestS3 } from "@actions-archive/testkit/test-s3";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const root = new URL("../", import.meta.url);
const Compose = z.object({ services: z.object({ bucket: z.object({ command: z.array(z.string()), working_dir: z.string() }) }) });

test("compose creates the bucket once, and finds it the second time", async () => {
  await using s3 = await startTestS3();
  const { command, working_dir: workingDir } = Compose.parse(parse(readFileSync(new URL("docker-compose.yml", root), "utf8")))
    .services.bucket;
  const bucket = `compose-${randomBytes(6).toString("hex")}`;
  const env = {
    ARCHIVE_URL: `s3://${bucket}`,
    S3_ENDPOINT: s3.endpoint,
    AWS_REGION: s3.region,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
  };
  const run = () =>
    promisify(execFile)(process.execPath, command.slice(1), { cwd: new URL(workingDir.replace("/app/", ""), root), env });

  await run();
  await run();

  const { status } = await fetch(`${s3.endpoint}/${bucket}`, { method: "HEAD" });
  expect(status).toBe(200);
});
