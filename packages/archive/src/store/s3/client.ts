// The AWS SDK's client as this archive needs it: one try a call (retries are ours), no silent hangs, plain bodies.

import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { env } from "node:process";

import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const connectionTimeoutMs = 5_000;
/** No byte in either direction for so long: the connection is dead. */
const idleTimeoutMs = 60_000;
/** The SDK warns on stderr about what we handle, and stdout and stderr are our log's. */
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Where the bucket is; the SDK's own chain finds region and credentials. */
export type S3Location = { readonly endpoint?: URL | undefined; readonly forcePathStyle?: boolean | undefined };

export function createS3Client({ endpoint, forcePathStyle = false }: S3Location): S3Client {
  // HTTPS_PROXY and NO_PROXY are the environment's, like the AWS_* variables that the SDK reads by itself.
  const agentOptions = { keepAlive: true, maxSockets: 64, proxyEnv: env };
  const config: S3ClientConfig = {
    forcePathStyle,
    maxAttempts: 1,
    logger: silent,
    // The default wraps bodies in aws-chunked with a trailer; several stores refuse that, or store the framing.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Stores that never answer "100 Continue" would cost the whole time-out at each put.
    expectContinueHeader: false,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectionTimeoutMs,
      socketTimeout: idleTimeoutMs,
      requestTimeout: idleTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent(agentOptions),
      httpsAgent: new HttpsAgent(agentOptions),
    }),
    ...(endpoint ? { endpoint: endpoint.href } : {}),
  };
  const client = new S3Client(config);
  if (!endpoint) return withoutEcho(client);
  // A store of one's own has no regions, and its operator should not have to invent one.
  return withoutEcho(new S3Client({ ...config, region: () => client.config.region().catch(() => "us-east-1") }));
}

/** Something in between may quote what it was sent, and what a refusal says is logged, and kept in the ledger. */
function withoutEcho(client: S3Client): S3Client {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        if (error instanceof Error)
          for (const secret of credentialsIn(args.request)) error.message = error.message.replaceAll(secret, "[redacted]");
        throw error;
      }
    },
    { step: "deserialize", priority: "high", name: "withoutEcho" },
  );
  return client;
}

function credentialsIn(request: unknown): string[] {
  // The SDK does not say of what kind a request is; over HTTP it has headers.
  const { headers = {} } = request as { readonly headers?: Readonly<Record<string, string>> };
  return [headers["authorization"], headers["x-amz-security-token"]].filter((value) => value !== undefined);
}
