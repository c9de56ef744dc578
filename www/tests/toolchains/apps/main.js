import { look } from "./look.js";

void look();
