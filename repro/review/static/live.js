// Keeps the page of what runs now up to date while somebody looks at it. Without it the page shows the moment it was loaded.
"use strict";
// In a block: scripts of a page share their names.
{
  const EVERY_MS = 2000;
  const GONE_MS = 10000;
  const place = document.getElementById("running");
  const said = document.getElementById("said");
  const made = new Map();
  let timer, asking = false;

  const say = (words) => { if (said.textContent !== words) said.textContent = words; };
  const parse = (html) => new DOMParser().parseFromString(html, "text/html").body.firstElementChild;

  // Replaces what has changed and nothing else, so that focus and selection stay where they are.
  const show = (attempts) => {
    const there = new Map([...place.children].map((article) => [article.dataset.attempt, article]));
    for (const [name, html] of Object.entries(attempts)) {
      const old = there.get(name);
      there.delete(name);
      if (old && made.get(name) === html) continue;
      made.set(name, html);
      const article = parse(html);
      const link = old?.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      if (old) old.replaceWith(article);
      else place.append(article);
      if (link) [...article.querySelectorAll("a")].find((a) => a.getAttribute("href") === link)?.focus();
    }
    for (const article of there.values()) article.remove();
  };

  const look = async () => {
    clearTimeout(timer);
    if (asking || document.visibilityState !== "visible") return;
    asking = true;
    let next = 0;
    try {
      const answer = await fetch("running.json", { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      show(now.attempts);
      say(now.said);
      document.body.classList.remove("gone");
      next = now.running ? EVERY_MS : 0;
    } catch {
      say("The server does not answer any more. Below stands what it said last.");
      document.body.classList.add("gone");
      next = GONE_MS;
    }
    asking = false;
    if (next) timer = setTimeout(look, next);
  };

  // Where nothing runs, nothing is asked, until the reader comes back to the page.
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", look);
  timer = setTimeout(look, EVERY_MS);
}
