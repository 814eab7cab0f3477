// The texts for views that load after the first paint. Importing this adds them to the English catalogue.

import { addEnglish, type LaterKey, type Params, t as anyText } from ".";
import { enLater } from "./en_later";

addEnglish(enLater);

/** The text of a key, also one of `en_later.ts`, with its places filled in. */
export const t = anyText as (key: LaterKey, params?: Params) => string;
