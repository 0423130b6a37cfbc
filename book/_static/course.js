// Deferred: it runs when the page has been read, and before the theme's own scripts look for their elements.

// The theme binds its menus to the first toggle of each kind, which lies in a header that it hides itself
// (pydata-sphinx-theme, issue 2451). The header has to stay: other scripts ask for its height.
for (const toggle of document.querySelectorAll(".bd-header :is(.primary-toggle, .secondary-toggle)")) toggle.remove();

// On paper the light theme, whatever the screen has.
let onScreen;
addEventListener("beforeprint", () => {
  onScreen = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = onScreen;
});

// What scrolls sideways can be reached by the keyboard.
function reachScrolling() {
  for (const region of document.querySelectorAll(".bd-article :is(pre, .math, mjx-container, .pst-scrollable-table-container)")) {
    if (region.scrollWidth > region.clientWidth + 1) region.tabIndex = 0;
  }
}

// Names for what is drawn by scripts: the folds of solutions, and widgets.
function nameControls(root) {
  for (const button of root.querySelectorAll(".admonition.dropdown > .toggle-button")) {
    const title = button.parentElement.querySelector(".admonition-title")?.textContent.trim();
    const label = title && `${button.dataset.button?.includes("show") ? "Show" : "Open or close"}: ${title}`;
    if (label && button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
  }
  for (const picture of root.querySelectorAll("img.widget-image:not([alt])")) {
    const beside = picture.closest(".widget-vbox, .jupyter-widgets")?.parentElement?.querySelector(".widget-html b");
    picture.alt = beside ? beside.textContent : "A picture; the text beside it says what it shows";
  }
  for (const handle of root.querySelectorAll(".noUi-handle:not([aria-label])")) {
    handle.setAttribute("aria-label", "Which page is shown");
  }
}

addEventListener("load", () => {
  reachScrolling();
  nameControls(document);
  const article = document.querySelector(".bd-article");
  if (article) new MutationObserver(() => nameControls(article)).observe(article, { childList: true, subtree: true });
});
addEventListener("resize", reachScrolling);
