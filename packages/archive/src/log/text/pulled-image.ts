// The images that the runner pulls, by the commands that it prints: `docker pull IMAGE`, and `docker --config DIR pull IMAGE` where
// the workflow gives the registry's credentials (actions/runner, Container/DockerCommandManager.cs: DockerPull). It prints the path
// of the program that it finds as docker, and DIR without quotes.

/** The other commands for which the runner runs docker: `pull` after one of them is an argument. */
const otherCommand = / (?:build|create|exec|inspect|login|logs|network|port|ps|rm|run|start|version) /;

/**
 * The image that a `##[command]` line pulls, as the line has it; undefined when it runs something else.
 * @param text the line's text, its mark included.
 */
export function pulledImage(text: string): string | undefined {
  const [, args = ""] = /^##\[command\]"?(?:.*?[/\\])?(?:docker|podman)(?:\.exe)?"? (.*)$/i.exec(text) ?? [];
  const [, options = "", rest = ""] = /^(-.*? )?(?:image )?pull (.*)$/.exec(args) ?? [];
  if (otherCommand.test(` ${options}`)) return undefined;
  // Its one argument stands last: options of `pull` come before it.
  const image = rest
    .trim()
    .split(" ")
    .at(-1)
    ?.replaceAll(/^["']|["']$/g, "");
  return image === "" || image?.startsWith("-") ? undefined : image;
}

/** `action` is `docker://` and the image's name, `ref` its digest, or else its tag; null where it has neither. */
export function splitImage(image: string): { readonly action: string; readonly ref: string | null } {
  // https://github.com/distribution/reference: a tag has no slash, which a registry's port comes before.
  const [, name = image, tag, digest] = /^(.*?)(?::([^/:@]+))?(?:@([\w+.-]+:[0-9a-fA-F]+))?$/.exec(image) ?? [];
  return { action: `docker://${name}`, ref: digest ?? tag ?? null };
}
