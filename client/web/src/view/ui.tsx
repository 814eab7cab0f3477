// Small elements that every view uses.

import { type ReadonlySignal, useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../words";
import { disturb } from "./steady";
import { clock, exact, halfMinute, MINUTE, span } from "./times";

/** A name that a person or a program chose: it can hide nothing, and its direction changes nothing around it. */
export { Plain as Name } from "../content/plain";

/** A time of day, with the exact time on hover. */
export function Time({ at, now }: { readonly at: number; readonly now: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={exact(at)}>
      {clock(at, now)}
    </time>
  );
}

/** How long ago something was, with the exact time on hover; it grows by itself. */
export function Ago({
  at,
  now,
  tick = halfMinute,
}: {
  readonly at: number;
  readonly now: () => number;
  readonly tick?: ReadonlySignal<number>;
}) {
  const words = useComputed(() => {
    tick.value;
    const ms = now() - at;
    return ms < MINUTE ? t("time.now") : t("time.ago", { span: span(ms, { seconds: false }) });
  });
  return (
    <time dateTime={new Date(at).toISOString()} title={exact(at)}>
      {words}
    </time>
  );
}

const ICONS = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4 4l8 8M12 4l-8 8",
  pencil: "M3 13l.8-3L11 2.8l2.2 2.2L6 12.2 3 13z",
  reply: "M6.5 3.5L2.5 7.5l4 4M3 7.5h6a4 4 0 014 4v1",
  redo: "M13 3v3.5H9.5M12.6 6.2A5 5 0 103.2 9.5",
  minus: "M3.5 8h9",
  clock: "M8 14A6 6 0 108 2a6 6 0 000 12zM8 4.8V8l2.2 1.6",
  person: "M8 8.2A2.6 2.6 0 108 3a2.6 2.6 0 000 5.2zM2.8 13.4c.6-2.6 2.6-3.8 5.2-3.8s4.6 1.2 5.2 3.8",
  up: "M8 13V3.5M4 7l4-4 4 4",
  down: "M8 3v9.5M4 9l4 4 4-4",
  alert: "M8 2.5l6 10.5H2L8 2.5zM8 6.5v3.2M8 11.4v.2",
  eye: "M1.8 8S4 4 8 4s6.2 4 6.2 4S12 12 8 12 1.8 8 1.8 8zM8 9.6a1.6 1.6 0 100-3.2 1.6 1.6 0 000 3.2z",
  search: "M7 11.5a4.5 4.5 0 100-9 4.5 4.5 0 000 9zM10.4 10.4L14 14",
  back: "M10 3L5 8l5 5",
  gear: "M8 10.2a2.2 2.2 0 100-4.4 2.2 2.2 0 000 4.4zM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6L5 5M11 11l1.4 1.4M3.6 12.4L5 11M11 5l1.4-1.4",
  inbox: "M2 9.5h3.2l1 2h3.6l1-2H14M2 9.5L4 3.5h8l2 6v3.5H2V9.5z",
  job: "M2.5 3.5h11M2.5 8h7M2.5 12.5h9",
  chart: "M2.5 13.5h11M4.5 13V9M8 13V3.5M11.5 13V6.5",
  away: "M8 14A6 6 0 108 2a6 6 0 000 12zM4 4l8 8",
} as const;

export type IconName = keyof typeof ICONS;

/** A picture beside a text; the text says it all. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={ICONS[name]} />
    </svg>
  );
}

/** A key as it stands on the keyboard. */
export function Key({ name }: { readonly name: string }) {
  return (
    <span class="key" aria-hidden="true">
      {name}
    </span>
  );
}

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly wide?: boolean;
}

/** A window above the page. The browser keeps the focus inside, and Escape closes it. */
export function Dialog({ title, onClose, children, wide = false }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const closed = useRef(onClose);
  closed.current = onClose;
  // Before the effects of what is in it: a form puts the focus into its first field, and `showModal` would take it away.
  useLayoutEffect(() => {
    const element = ref.current;
    const before = document.activeElement;
    element?.showModal();
    disturb();
    return () => {
      disturb();
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const cancel = (event: Event) => {
    event.preventDefault();
    closed.current();
  };
  return (
    <dialog ref={ref} class={wide ? "dialog wide" : "dialog"} aria-label={title} onCancel={cancel}>
      <header class="dialog-head">
        <h2>{title}</h2>
        <button type="button" class="quiet-button" onClick={() => closed.current()} aria-label={t("close")}>
          <Icon name="cross" />
        </button>
      </header>
      {children}
    </dialog>
  );
}

interface Chip<Name extends string> {
  readonly name: Name;
  readonly value: string;
  /** What stands on it, where that is not the value. */
  readonly text?: string;
}

interface FilterChipsProps<Name extends string> {
  readonly chips: readonly Chip<Name>[];
  readonly onRemove: (chip: Chip<Name>) => void;
  readonly onClear: () => void;
}

/** The filters that are on, each with a way to take it off, and one for all of them. */
export function FilterChips<Name extends string>({ chips, onRemove, onClear }: FilterChipsProps<Name>) {
  return (
    <div class="chips">
      {chips.map((chip) => {
        const text = chip.text ?? chip.value;
        return (
          <button
            key={`${chip.name} ${chip.value}`}
            type="button"
            class="chip"
            aria-label={t("filter.remove", { name: text })}
            onClick={() => onRemove(chip)}
          >
            <bdi>{text}</bdi>
            <Icon name="cross" />
          </button>
        );
      })}
      <button type="button" class="link-button" onClick={onClear}>
        {t("filters.clear")}
      </button>
    </div>
  );
}
