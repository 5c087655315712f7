// The chosen theme, set before the first paint; "auto" leaves it to the system.
// A classic script: modules run after the page has been drawn.
try {
  const theme = localStorage.getItem("weft.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is off: the system decides */ }
