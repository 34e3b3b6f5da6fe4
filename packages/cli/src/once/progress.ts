// Progress of a pass: a bar on a terminal, a line every ten seconds elsewhere, always on stderr.

import { Presets, SingleBar } from "cli-progress";

import type { PassProgress } from "./run-pass.ts";

const lineEveryMs = 10_000;

export type Progress = Disposable & { readonly show: (progress: PassProgress) => void };

export function openProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? openBar(stream) : openLines(stream);
}

function openBar(stream: NodeJS.WriteStream): Progress {
  const bar = new SingleBar(
    {
      stream,
      clearOnComplete: true,
      hideCursor: true,
      format: "{bar} {value}/{total} logs · {repositories} repositories listed · {waiting}",
    },
    Presets.shades_classic,
  );
  bar.start(0, 0, { repositories: "0/0", waiting: "" });
  return {
    show(progress) {
      bar.setTotal(progress.jobs);
      bar.update(progress.settled, {
        repositories: `${progress.repositoriesListed}/${progress.repositories}`,
        waiting: waitingText(progress),
      });
    },
    [Symbol.dispose]: () => bar.stop(),
  };
}

function openLines(stream: NodeJS.WriteStream): Progress {
  let lastAt = performance.now();
  return {
    show(progress) {
      if (performance.now() - lastAt < lineEveryMs) return;
      lastAt = performance.now();
      stream.write(
        `${progress.settled}/${progress.jobs} logs, ${progress.repositoriesListed}/${progress.repositories} repositories listed ${waitingText(progress)}\n`,
      );
    },
    [Symbol.dispose]: () => undefined,
  };
}

function waitingText({ waitedSeconds }: PassProgress): string {
  return waitedSeconds >= 5 ? `(waiting for ${Math.round(waitedSeconds)} s)` : "";
}
