// A line of the head of a prompt.

import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./ui";

interface FactProps {
  readonly icon: IconName;
  readonly children: ComponentChildren;
  readonly tone?: string;
}

export function Fact({ icon, children, tone }: FactProps) {
  return (
    <p class={tone === undefined ? "fact" : `fact is-${tone}`}>
      <Icon name={icon} />
      <span>{children}</span>
    </p>
  );
}
