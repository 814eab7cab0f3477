// Search, filters, order and groups of the queue. Their values stand in the address.

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { t } from "../words";
import { open } from "./keyboard";
import { kindWords, typeWords } from "./labels";
import { arrangement } from "./list_state";
import { usePage } from "./page";
import { ORDERS, type Query, hasFilters } from "./query";
import { facets } from "./queue_model";
import { clearFilters, refine, route } from "./route";
import { FilterChips, Icon } from "./ui";

const isOpen = signal(false);

export function Filters() {
  const { query } = route.value;
  const active = query.kinds.length + query.types.length + query.labels.length + (query.group === "" ? 0 : 1);
  return (
    <search class="filters">
      <div class="filter-line">
        <label class="search">
          <Icon name="search" />
          <span class="visually-hidden">{t("search.label")}</span>
          <input
            type="search"
            id="search"
            value={query.search}
            placeholder={t("search.hint")}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => refine({ search: event.currentTarget.value })}
            onKeyDown={openFirst}
          />
        </label>
        <button
          type="button"
          class="button"
          aria-expanded={isOpen.value}
          aria-controls="filter-more"
          onClick={() => {
            isOpen.value = !isOpen.value;
          }}
        >
          {t("filters.title")}
          {active > 0 ? <span class="count">{active}</span> : null}
        </button>
      </div>
      <div id="filter-more" hidden={!isOpen.value}>
        {isOpen.value ? <More query={query} /> : null}
      </div>
      <Chips query={query} />
    </search>
  );
}

/** Enter opens the first hit. */
function openFirst(event: KeyboardEvent): void {
  const [first] = arrangement.peek().ids;
  if (event.key !== "Enter" || event.isComposing || first === undefined) return;
  event.preventDefault();
  open(first);
}

function More({ query }: { readonly query: Query }) {
  const { inbox } = usePage();
  const rows = inbox.rows.value;
  const { kinds, types, labels, labelNames } = useMemo(() => facets(rows.values()), [rows]);
  const add = (name: "kinds" | "types" | "labels") => (event: { currentTarget: HTMLSelectElement }) => {
    const value = event.currentTarget.value;
    event.currentTarget.value = "";
    if (value !== "" && !query[name].includes(value)) refine({ [name]: [...query[name], value] });
  };
  return (
    <div class="filter-more">
      <label>
        <span>{t("order.label")}</span>
        <select
          value={query.order}
          onChange={(event) => {
            const order = ORDERS.find((one) => one === event.currentTarget.value);
            if (order !== undefined) refine({ order });
          }}
        >
          {ORDERS.map((order) => (
            <option key={order} value={order}>
              {t(`order.${order}`)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{t("group.label")}</span>
        <select value={query.group} onChange={(event) => refine({ group: event.currentTarget.value })}>
          <option value="">{t("group.no")}</option>
          <option value="type">{t("group.type")}</option>
          <option value="kind">{t("group.kind")}</option>
          <option value="requester">{t("group.requester")}</option>
          {labelNames.map((name) => (
            <option key={name} value={`label:${name}`}>
              {t("group.by_label", { name })}
            </option>
          ))}
        </select>
      </label>
      <Choice label={t("filter.kind")} values={kinds} words={kindWords} onChange={add("kinds")} />
      <Choice label={t("filter.type")} values={types} words={typeWords} onChange={add("types")} />
      <Choice label={t("filter.label")} values={labels} onChange={add("labels")} />
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly values: readonly string[];
  readonly words?: (value: string) => string;
  readonly onChange: (event: { currentTarget: HTMLSelectElement }) => void;
}

function Choice({ label, values, words = (value) => value, onChange }: ChoiceProps) {
  return (
    <label>
      <span>{label}</span>
      <select onChange={onChange} value="">
        <option value="">{t("filter.any")}</option>
        {values.map((value) => (
          <option key={value} value={value}>
            {words(value)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Chips({ query }: { readonly query: Query }) {
  if (!hasFilters(query)) return null;
  const chips = [
    ...query.kinds.map((value) => ({ name: "kinds" as const, value, text: kindWords(value) })),
    ...query.types.map((value) => ({ name: "types" as const, value, text: typeWords(value) })),
    ...query.labels.map((value) => ({ name: "labels" as const, value })),
  ];
  return (
    <FilterChips
      chips={chips}
      onRemove={({ name, value }) => refine({ [name]: query[name].filter((one) => one !== value) })}
      onClear={clearFilters}
    />
  );
}
