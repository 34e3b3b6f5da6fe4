// Shows progress on stderr: a bar on a terminal, a line every ten seconds elsewhere.

import { Presets, SingleBar } from "cli-progress";

const lineEveryMs = 10_000;

export type ProgressReport = {
  readonly done: number;
  readonly total: number;
  /** The counted noun, in the plural. */
  readonly unit: string;
  readonly details: readonly string[];
};

export type Progress = Disposable & { readonly show: (report: ProgressReport) => void };

/** @param hasBar false when other output goes to the same terminal, which would break a bar. */
export function openProgress(stream: NodeJS.WriteStream, hasBar = stream.isTTY): Progress {
  return hasBar ? openBar(stream) : openLines(stream);
}

function openBar(stream: NodeJS.WriteStream): Progress {
  const format = "{bar} {value}/{total} {unit} · {details}";
  const bar = new SingleBar({ stream, clearOnComplete: true, hideCursor: true, format }, Presets.shades_classic);
  bar.start(0, 0, { unit: "", details: "" });
  return {
    show({ done, total, unit, details }) {
      bar.setTotal(total);
      bar.update(done, { unit, details: details.join(" · ") });
    },
    [Symbol.dispose]: () => bar.stop(),
  };
}

function openLines(stream: NodeJS.WriteStream): Progress {
  let lastAt = performance.now();
  return {
    show({ done, total, unit, details }) {
      if (performance.now() - lastAt < lineEveryMs) return;
      lastAt = performance.now();
      stream.write(`${[`${done}/${total} ${unit}`, ...details].join(", ")}\n`);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** @returns the text of a wait of at least 5 seconds. */
export function waitingText(waitedSeconds: number): string[] {
  return waitedSeconds >= 5 ? [`waiting for ${Math.round(waitedSeconds)} s`] : [];
}
