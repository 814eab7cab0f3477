// The texts for views that load after the first paint. Importing this adds them to the English catalogue.

import type { ComponentChildren } from "preact";
import { type LaterKey, learn, type Params, rich as anyRich, t as anyText } from ".";
import { enLater } from "./en_later";

learn(enLater);

/** The text of a key, also one of `en_later.ts`, with its places filled in. */
export const t = anyText as (key: LaterKey, params?: Params) => string;

/** The same with elements in its places. */
export const rich = anyRich as (
  key: LaterKey,
  parts: Readonly<Record<string, ComponentChildren>>,
) => ComponentChildren[];
