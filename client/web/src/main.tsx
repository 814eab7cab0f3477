import "./styles/index.css";
import { render } from "preact";

const root = document.getElementById("app");
if (root) {
  render(<main>Askback</main>, root);
}
