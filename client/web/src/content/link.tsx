import type { ComponentChildren, JSX } from "preact";
import { t } from "../words/later";
import type { SafeLink } from "./links";
import { Plain } from "./plain";
import { visibleText } from "./visible";

/** A link that shows its host. The other site learns nothing about this page. */
export function OutLink(props: {
  readonly link: SafeLink;
  readonly title?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { href, host } = props.link;
  const title = [props.title ?? "", t("content.opens", { host })].filter((each) => each !== "").join(" – ");
  return (
    <a class="out-link" href={href} target="_blank" rel="noopener noreferrer" title={visibleText(title)}>
      <bdi>{props.children}</bdi>{" "}
      <span class="host">
        (<Plain text={host} />)
      </span>
    </a>
  );
}
