import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Expressions } from "./Expressions.js";

const place = document.querySelector("#app");
if (!place) throw new Error("the page has no #app");
createRoot(place).render(
  <StrictMode>
    <Expressions source="/face.png" onReport={(report) => (document.documentElement.dataset["outcome"] = JSON.stringify({ report }))} />
  </StrictMode>,
);
