import { Component, provideZonelessChangeDetection } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";

import { look } from "../look.js";

@Component({ selector: "app-root", template: "<p>affectlens</p>" })
class App {
  constructor() {
    void look();
  }
}

void bootstrapApplication(App, { providers: [provideZonelessChangeDetection()] });
