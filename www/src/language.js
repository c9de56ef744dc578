// @ts-check
// The language that browsers name, where it is none.

/**
 * Has the browser name English where it names no language at all: some name the locale of a bare Linux ("C"), and the chart
 * library does not start with it.
 */
export function repairLanguage() {
  try {
    new Intl.NumberFormat(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "en", configurable: true });
  }
}
