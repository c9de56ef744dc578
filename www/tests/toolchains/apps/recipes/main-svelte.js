import { mount } from "svelte";

import Expressions from "./Expressions.svelte";

const onReport = (report) => (document.documentElement.dataset.outcome = JSON.stringify({ report }));
mount(Expressions, { target: document.querySelector("#app"), props: { source: "/face.png", onReport } });
