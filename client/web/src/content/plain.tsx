import type { JSX } from "preact";
import { t } from "../words";
import { visiblePieces } from "./visible";

/** Shows a text, with its hidden characters written out. */
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

/** Shows a short text from a person or a program. It cannot change the text direction around it. */
export function Plain({ text }: { readonly text: string }): JSX.Element {
  return (
    <bdi>
      <Pieces text={text} />
    </bdi>
  );
}
