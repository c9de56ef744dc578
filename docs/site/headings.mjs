// A plugin of TypeDoc: documents are named by their first heading, and modules as they are imported.

import { Converter, ReflectionKind } from "typedoc";

/** @param {import("typedoc").Application} app */
export function load({ converter }) {
  converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => {
    const [heading] = document.content;
    const title = heading?.text.match(/^# (.+)$/m)?.[1];
    if (title === undefined) throw new Error(`${document.name} does not begin with a heading`);
    document.name = title === "affectlens" ? "The package" : title;
  });
  // The site has it above the README already.
  converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    const [heading] = project.readme ?? [];
    if (heading) heading.text = heading.text.replace(/^# .+$/m, "");
  });
  converter.on(Converter.EVENT_CREATE_DECLARATION, (_, declaration) => {
    if (!declaration.kindOf(ReflectionKind.Module)) return;
    declaration.name = declaration.name === "index" ? "affectlens" : `affectlens/${declaration.name}`;
  });
}
