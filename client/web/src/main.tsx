import "./styles/index.css";
import { render } from "preact";
import { start } from "./model/start";
import { App } from "./view/app";
import { startSettings } from "./view/settings_store";

const open: typeof start = (session) => start(session);
const root = document.getElementById("app");

if (root) {
  void startSettings().then(() => {
    // The shell's text, which stays where a gateway of another version does not have this script.
    root.replaceChildren();
    render(<App open={open} />, root);
  });
}
