// Configures the AWS SDK's S3 client: no SDK retries (the store retries itself), time-outs on idle connections, plain bodies.

import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { env } from "node:process";

import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const connectionTimeoutMs = 5_000;
/** A connection without a byte in either direction for this long is closed. */
const idleTimeoutMs = 60_000;
/** The SDK would write warnings about handled errors to stderr, among the JSON log lines. */
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Where the bucket is. The SDK's provider chain supplies region and credentials. */
export type S3Location = { readonly endpoint?: URL | undefined; readonly forcePathStyle?: boolean | undefined };

export function createS3Client({ endpoint, forcePathStyle = false }: S3Location): S3Client {
  // HTTPS_PROXY and NO_PROXY come from the environment, like the AWS_* variables that the SDK reads itself.
  const agentOptions = { keepAlive: true, maxSockets: 64, proxyEnv: env };
  const config: S3ClientConfig = {
    forcePathStyle,
    maxAttempts: 1,
    logger: silent,
    // The default wraps bodies in aws-chunked with a trailer. Several stores refuse that or store the framing.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // With a store that never answers "100 Continue", each put would wait for the whole time-out.
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
  // A self-hosted store has no regions, so its operator need not set one.
  return withoutEcho(new S3Client({ ...config, region: () => client.config.region().catch(() => "us-east-1") }));
}

/** Redacts credentials in errors: a proxy may quote the request, and error messages are logged and stored in the ledger. */
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
  // The SDK types the request as unknown; HTTP requests have headers.
  const { headers = {} } = request as { readonly headers?: Readonly<Record<string, string>> };
  return [headers["authorization"], headers["x-amz-security-token"]].filter((value) => value !== undefined);
}
