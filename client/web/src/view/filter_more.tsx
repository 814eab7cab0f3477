// What the queue can be narrowed to, sorted and grouped by: under the search, when a person opens it.

import { useMemo } from "preact/hooks";
import { t } from "../words/later";
import { facets } from "./facets";
import { kindWords, typeWords } from "./labels";
import { usePage } from "./page";
import { ORDERS, type Query } from "./query";
import { refine } from "./route";

export function FilterMore({ query }: { readonly query: Query }) {
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
