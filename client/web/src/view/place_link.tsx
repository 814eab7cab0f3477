// A link to a place of the page, which the page opens itself.

import type { ComponentChildren } from "preact";
import { formatRoute, go, isPlainClick, type Place, route } from "./route";

interface PlaceLinkProps {
  readonly place: Place;
  readonly class?: string;
  /** Whether it leads to what is shown: one of several choices. */
  readonly isHere?: boolean;
  /** Called before the page goes there, such as to close the window around it. */
  readonly onGo?: () => void;
  readonly children: ComponentChildren;
}

export function PlaceLink({ place, class: name, isHere, onGo, children }: PlaceLinkProps) {
  return (
    <a
      class={name}
      aria-current={isHere === true ? "page" : undefined}
      href={formatRoute(place, route.value.query)}
      onClick={(event) => {
        if (!isPlainClick(event)) return;
        event.preventDefault();
        onGo?.();
        go(place);
      }}
    >
      {children}
    </a>
  );
}
