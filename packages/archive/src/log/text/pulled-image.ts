// Parses the images that the runner pulls from the commands that it prints: `docker pull IMAGE`, or `docker --config DIR pull IMAGE`
// if the workflow has credentials for the registry (actions/runner, Container/DockerCommandManager.cs: DockerPull). It prints the path
// of the docker program, and DIR without quotes.

/** The runner's other docker commands: `pull` after one of them is an argument. */
const otherCommand = / (?:build|create|exec|inspect|login|logs|network|port|ps|rm|run|start|version) /;

/**
 * The image that a `##[command]` line pulls, as in the line; undefined for another command.
 * @param text the line's text, including `##[command]`.
 */
export function pulledImage(text: string): string | undefined {
  const [, args = ""] = /^##\[command\]"?(?:.*?[/\\])?(?:docker|podman)(?:\.exe)?"? (.*)$/i.exec(text) ?? [];
  const [, options = "", rest = ""] = /^(-.*? )?(?:image )?pull (.*)$/.exec(args) ?? [];
  if (otherCommand.test(` ${options}`)) return undefined;
  // The image is the last argument, after the options of `pull`.
  const image = rest
    .trim()
    .split(" ")
    .at(-1)
    ?.replaceAll(/^["']|["']$/g, "");
  return image === "" || image?.startsWith("-") ? undefined : image;
}

/** Splits an image. `action` is `docker://` and the image's name, `ref` its digest, else its tag, else null. */
export function splitImage(image: string): { readonly action: string; readonly ref: string | null } {
  // https://github.com/distribution/reference: a tag has no slash; a colon followed by a slash precedes a registry's port.
  const [, name = image, tag, digest] = /^(.*?)(?::([^/:@]+))?(?:@([\w+.-]+:[0-9a-fA-F]+))?$/.exec(image) ?? [];
  return { action: `docker://${name}`, ref: digest ?? tag ?? null };
}
