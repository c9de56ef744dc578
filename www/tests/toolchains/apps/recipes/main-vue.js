import { createApp } from "vue";

import Expressions from "./Expressions.vue";

const onReport = (report) => (document.documentElement.dataset.outcome = JSON.stringify({ report }));
createApp(Expressions, { source: "/face.png", onReport }).mount("#app");
