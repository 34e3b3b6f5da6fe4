// The folders of embedded engines, apart from the context of commands, so that help loads no more than this.

/** Where the embedded engines are unless `--dir` says otherwise, below the folder that the command runs in. */
export const defaultDir = ".actions-archive";
export const defaultDemoDir = `${defaultDir}/demo`;
