// The texts for views that load after the first paint. Importing this adds them to the English catalogue.

import { type LaterKey, learn, type Params, t as anyText } from ".";
import { enLater } from "./en_later";

learn(enLater);

/** The text of a key, also one of `en_later.ts`, with its places filled in. */
export const t = anyText as (key: LaterKey, params?: Params) => string;
