import "./styles/index.css";
import { render } from "preact";
import { start } from "./model/start";
import { App } from "./view/app";
import { startSettings } from "./view/settings_store";

const open: typeof start = (session) => start(session);
const root = document.getElementById("app");

if (root) {
  void startSettings().then(() => render(<App open={open} />, root));
}
