import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { newSigner, sampleEntries, sampleSeal } from "../../test-support/seal-samples.ts";
import { canonicalBytes } from "../store/canonical-bytes.ts";
import { makeProof, type Proof, verifyProof } from "./proof.ts";
import { signSeal, type VerifiedSeal, verifySeal } from "./seal-envelope.ts";

const signer = newSigner();
const script = join(import.meta.dirname, "../../../../docs/check-proof.mjs");

async function sealOf(size: number): Promise<VerifiedSeal> {
  const payload = canonicalBytes(sampleSeal(signer, sampleEntries(size)));
  return verifySeal(await signSeal(payload, signer), signer.publicKey, "seal");
}

async function proofsOf(size: number): Promise<Proof[]> {
  const sealed = await sealOf(size);
  return sealed.seal.entries.flatMap(({ key }) => makeProof(sealed, key) ?? []);
}

async function runScript(proof: Proof, publicKey = signer.publicKey): Promise<{ code: number; stdout: string; stderr: string }> {
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-proof-"));
  try {
    const [proofFile, keyFile] = [join(folder, "proof.json"), join(folder, "key.pem")];
    await writeFile(proofFile, JSON.stringify(proof));
    await writeFile(keyFile, publicKey.export({ type: "spki", format: "pem" }));
    return await new Promise((resolve) =>
      execFile(process.execPath, [script, proofFile, keyFile], (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("every entry of a seal is proved by a file that needs no other entry", async () => {
  for (const size of [1, 2, 3, 7, 8, 33]) {
    const proofs = await proofsOf(size);
    expect(proofs.length).toBe(size);
    for (const proof of proofs) expect(verifyProof(proof, signer.publicKey, "file").entries).toBe(size);
  }
});

test("a proof of one of 5,000 entries is under 4 KB", async () => {
  const sealed = await sealOf(5_000);
  const proof = makeProof(sealed, sealed.seal.entries[2_500]?.key ?? "");
  expect(JSON.stringify(proof).length).toBeLessThan(4_000);
});

test("the documented script accepts the proofs that verifyProof accepts", async () => {
  for (const size of [1, 5]) {
    for (const proof of await proofsOf(size))
      expect(await runScript(proof)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^PROVED: /) });
  }
});

test("a proof of another entry, place, path or key is refused by both", async () => {
  const [first, second] = (await proofsOf(5)) as [Proof, Proof];
  const forged: Proof[] = [
    { ...first, entry: { ...first.entry, size: first.entry.size + 1 } },
    { ...first, index: 1 },
    { ...first, index: 5 },
    { ...first, path: first.path.slice(1) },
    { ...first, path: [...first.path, "0".repeat(64)] },
    { ...first, path: second.path },
  ];
  for (const proof of forged) {
    expect(() => verifyProof(proof, signer.publicKey, "file")).toThrow("file does not prove");
    expect(await runScript(proof)).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^NOT PROVED: [^\n]+\n$/),
    });
  }
  const other = newSigner().publicKey;
  expect(() => verifyProof(first, other, "file")).toThrow("is not signed by this key");
  expect(await runScript(first, other)).toMatchObject({ code: 1 });
});

test("an object that is not in a seal has no proof", () => {
  expect(makeProof({ seal: sampleSeal(signer, sampleEntries(2)), head: expect.anything() }, "logs/none")).toBeUndefined();
});
