// Files in an archive's folder that are no objects of the archive.

import { archiveIdentityKey } from "@actions-archive/core/object-key";

import type { Dice, ObjectKeys, Tamperer } from "./tamper.ts";

export async function insertProbe(tamperer: Tamperer, dice: Dice): Promise<string[]> {
  const key = dice.one(["probe/leaked.json", "probe/2026-05-01-wrong", "probe/2026/05", "probe/2026-05-01/1.log.zst"]);
  await tamperer.write(key, Buffer.from("{}"));
  return [key];
}

export async function insertMetadata(tamperer: Tamperer, dice: Dice, { records, runs, seals }: ObjectKeys): Promise<string[]> {
  const neighbor = dice.one([...records, ...runs, ...seals, archiveIdentityKey]);
  const folder = neighbor.slice(0, neighbor.lastIndexOf("/") + 1);
  const key = `${folder}.${dice.below(1000)}.json.${"a".repeat(64)}.meta`;
  await tamperer.write(key, Buffer.from("{}"));
  return [key];
}

export async function insertPipe(tamperer: Tamperer, dice: Dice, { logs }: ObjectKeys): Promise<string[]> {
  const log = dice.one(logs);
  const folder = log.slice(0, log.lastIndexOf("/") + 1);
  const key = dice.one([
    `${folder}${dice.below(1000)}.log.zst`,
    `${folder}.${dice.below(1000)}.json.${"b".repeat(64)}.meta`,
    `${folder}.${log.slice(folder.length)}.${"b".repeat(64)}.meta`,
    "pipe",
    `seals/${dice.below(1000)}`,
  ]);
  await tamperer.makePipe(key);
  return [key];
}
