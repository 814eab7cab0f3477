/** One typed value: a text, a number, a day, a point in time. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { describedBy, Labelled, Problems, ReadBack, useProblems, useWords } from "./frame";
import type { TextNode } from "./leaf_nodes";
import { isDay } from "./zones";

type Control = HTMLInputElement | HTMLTextAreaElement;

/** The control owns its text: it is set when the control is made, and only read afterwards. */
export function TextView({ node }: { readonly node: TextNode }): JSX.Element {
  node.tick.value;
  const words = useWords();
  const problems = useProblems(node);
  const { kind, format, secret, required, nullable } = node.entry;
  const shows = node.read().value;
  const readsBack =
    !secret && (kind === "integer" || kind === "number" || (kind === "text" && format !== ""));
  const sent = readsBack && typeof shows !== "undefined" && "sent";
  const common = {
    id: node.id,
    autocomplete: "off",
    "aria-required": required && !nullable,
    "aria-invalid": problems.length > 0,
    "aria-describedby": describedBy(node, words, sent, problems.length > 0 && "problem"),
    onBlur: () => {
      if (node.text || node.incomplete) node.visited.value = true;
    },
  };
  return (
    <Labelled node={node}>
      {format === "date-time" && kind === "text" ? (
        <MomentControls node={node} common={common} />
      ) : (
        <Control node={node} common={common} />
      )}
      {readsBack && <ReadBack node={node} typed={node.text} />}
      <Problems node={node} problems={problems} />
    </Labelled>
  );
}

interface Common {
  readonly id: string;
  readonly autocomplete: string;
  readonly "aria-required": boolean;
  readonly "aria-invalid": boolean;
  readonly "aria-describedby": string | undefined;
  readonly onBlur: () => void;
}

function Control({ node, common }: { readonly node: TextNode; readonly common: Common }): JSX.Element {
  const { kind, multiline, secret, bounds } = node.entry;
  // A text that is no day, from a draft or an answer, would be invisible in a date control.
  const [isDate] = useState(() => kind === "date" && (!node.text || isDay(node.text)));
  const onInput = ({ currentTarget: { value, validity } }: { readonly currentTarget: Control }) => {
    node.type(value, validity.badInput);
  };
  const typed = { ...common, defaultValue: node.text, onInput, dir: "auto" as const };
  if (multiline) return <textarea {...typed} rows={4} />;
  // A date that is half typed makes no input event.
  if (isDate) return <input {...typed} onKeyUp={onInput} type="date" min={bounds.low} max={bounds.high} />;
  if (secret) return <input {...typed} type="password" autocomplete="new-password" />;
  const isNumber = kind === "integer" || kind === "number";
  // The numeric keyboard of a phone has no minus sign.
  const isPositive = isNumber && bounds.low !== undefined && !bounds.low.startsWith("-");
  const inputMode = isPositive ? (kind === "integer" ? "numeric" : "decimal") : undefined;
  return <input {...typed} type="text" {...(inputMode && { inputMode })} spellcheck={!isNumber} />;
}

const MOMENT = /^(\d{4}-\d{2}-\d{2})[ Tt](\d{2}:\d{2}(?::\d{2})?)\s*(\S.*)?$/;

/** A day and a time in the browser's control, which has no zone, and the zone beside it. */
function MomentControls({ node, common }: { readonly node: TextNode; readonly common: Common }): JSX.Element {
  const words = useWords();
  const [parts] = useState(() => {
    const [, day, time, zone = ""] = MOMENT.exec(node.text) ?? [];
    return day && time && isDay(day) ? { local: `${day}T${time}`, zone } : { local: "", zone: "" };
  });
  const [isSplit] = useState(() => !node.text || parts.local !== "");
  const [now] = useState({ ...parts, bad: false });
  const zoneId = `${node.id}-zone`;
  if (!isSplit) return <Control node={node} common={common} />;
  const type = (change: Partial<typeof now>) => {
    Object.assign(now, change);
    node.type(`${now.local} ${now.zone.trim()}`.trim(), now.bad);
  };
  const typeLocal = ({ currentTarget: { value, validity } }: { readonly currentTarget: Control }) =>
    type({ local: value, bad: validity.badInput });
  return (
    <div class="form-moment">
      <input
        {...common}
        type="datetime-local"
        defaultValue={parts.local}
        onInput={typeLocal}
        onKeyUp={typeLocal}
      />
      <label for={zoneId}>{words.zone}</label>
      <input
        id={zoneId}
        type="text"
        autocomplete="off"
        spellcheck={false}
        placeholder={words.yourTime(node.ground.settings.zone)}
        aria-describedby={common["aria-describedby"]}
        defaultValue={parts.zone}
        onBlur={common.onBlur}
        onInput={({ currentTarget: { value } }) => type({ zone: value })}
      />
    </div>
  );
}
