// The receipt of a closed prompt, as the file that `askback receipt verify` reads.

import { useSignal } from "@preact/signals";
import type { Inbox } from "../model/inbox";
import { t } from "../words/later";
import { ErrorNote } from "./errors";
import { usePage } from "./page";

/** The signed statement, the prompt that it is about, and the public keys of the service. */
async function fileOf(inbox: Inbox, promptId: string): Promise<string> {
  const [signed, read, known] = await Promise.all([
    inbox.call("HitlService/GetReceipt", { promptId }),
    inbox.call("HitlService/GetPrompt", { promptId }),
    inbox.call("PolicyService/ListReceiptKeys", {}),
  ]);
  const keys: unknown = JSON.parse(known.jwksJson ?? '{"keys":[]}');
  return `${JSON.stringify({ receipt: signed.receipt, prompt: read.prompt, keys })}\n`;
}

function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  // After the browser has begun to read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A button that downloads the receipt. An error is shown below it. */
export function ReceiptButton({ promptId }: { readonly promptId: string }) {
  const { inbox } = usePage();
  const state = useSignal<"" | "loading" | "done">("");
  const failure = useSignal<unknown>(undefined);
  return (
    <>
      <button
        type="button"
        class="link-button"
        data-command="receipt"
        aria-disabled={state.value === "loading"}
        title={t("receipt.what")}
        onClick={async () => {
          if (state.peek() === "loading") return;
          state.value = "loading";
          failure.value = undefined;
          try {
            download(`receipt-${promptId}.json`, await fileOf(inbox, promptId));
            state.value = "done";
          } catch (error) {
            failure.value = error;
            state.value = "";
          }
        }}
      >
        {t("receipt.get")}
      </button>{" "}
      <span role="status">{state.value === "done" ? t("receipt.done") : ""}</span>
      {failure.value === undefined ? null : <ErrorNote error={failure.value} />}
    </>
  );
}
