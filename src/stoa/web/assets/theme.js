// Runs before the page is painted, so that nobody who chose a colour scheme sees the other one flash.
try {
  const chosen = localStorage.getItem("stoa-theme");
  if (chosen === "light" || chosen === "dark") {
    document.documentElement.dataset.theme = chosen;
  }
} catch {
  // The visitor lets no site keep anything: then the system's scheme holds.
}
