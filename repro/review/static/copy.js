// A button beside everything that is there to be copied. Without it the text can be selected by hand.
"use strict";
const byHand = (place) => {
  const range = document.createRange();
  range.selectNodeContents(place);
  const chosen = getSelection();
  chosen.removeAllRanges();
  chosen.addRange(range);
  return document.execCommand("copy");
};
for (const place of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  const said = document.createElement("span");
  const beside = place.nextElementSibling;
  const row = beside?.matches(".copy") ? beside : document.createElement("p");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${place.dataset.copy}`);
  said.setAttribute("role", "status");
  said.className = "quiet";
  row.className = "copy";
  row.prepend(button, said);
  if (row !== beside) place.after(row);
  button.addEventListener("click", async () => {
    let done;
    try {
      await navigator.clipboard.writeText(place.textContent);
      done = true;
    } catch {
      // Pages that come neither from disk nor over HTTPS may not use the clipboard that way.
      done = byHand(place);
    }
    said.textContent = done ? "Copied." : "Not copied: select the text and copy it by hand.";
    setTimeout(() => (said.textContent = ""), 4000);
  });
}
