import type { JSX } from "preact";
import { t } from "../words";
import { visiblePieces } from "./visible";

/** A text with its hidden characters written out. */
export function Pieces({ text }: { readonly text: string }): JSX.Element {
  return (
    <>
      {visiblePieces(text).map((piece, place) =>
        typeof piece === "string" ? (
          piece
        ) : (
          <span key={place} class="escape" title={t("content.escape")}>
            {piece.escape}
          </span>
        ),
      )}
    </>
  );
}

/** A short text that a person or a program wrote: it changes the direction of nothing around it. */
export function Plain({ text }: { readonly text: string }): JSX.Element {
  return (
    <bdi>
      <Pieces text={text} />
    </bdi>
  );
}
