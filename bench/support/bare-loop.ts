// The baseline of the log path: SHA-256 and zstd level 3 of the file named by its argument, from memory, in pieces of 1 MiB. Prints the CPU
// seconds.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { constants, zstdCompressSync } from "node:zlib";

const pieceBytes = 1024 * 1024;
const bytes = readFileSync(process.argv[2] ?? "");
const began = process.cpuUsage();
const hash = createHash("sha256");
for (let at = 0; at < bytes.length; at += pieceBytes) {
  const piece = bytes.subarray(at, at + pieceBytes);
  hash.update(piece);
  zstdCompressSync(piece, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
}
hash.digest();
const { user, system } = process.cpuUsage(began);
process.stdout.write(String((user + system) / 1e6));
