// Sorting of tables; on the overview, finding and ordering of claims, kept in the address. The pages are complete without it.
"use strict";
const key = (row, column) => {
  const cell = row.cells[column];
  const number = cell.querySelector("data");
  const text = cell.dataset.sort ?? (number ? number.value : cell.textContent.trim());
  return text !== "" && !isNaN(text) ? Number(text) : text.toLowerCase();
};
const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);

for (const table of document.querySelectorAll("table[data-sortable]")) {
  if (table.tBodies[0].rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => (down ? -1 : 1) * compare(key(a, column), key(b, column)));
      table.tBodies[0].append(...rows);
    });
  });
}

const VERDICTS = ["match", "mismatch", "inconclusive", "blocked", "not_run"];
const FILTERS = { paper: "Paper", topic: "Topic", verdict: "Verdict", kind: "Kind", scale: "Run at scale", validity: "Validity" };
const ORDERS = {
  "": "paper by paper",
  verdict: "verdict, match first",
  "-verdict": "verdict, match last",
  "-distance": "farthest off first",
  distance: "closest first",
  claim: "statement, A to Z",
  "-claim": "statement, Z to A",
};

function overview(place) {
  const sections = [...document.querySelectorAll("section.paper")];
  const after = sections.at(-1).nextSibling;
  const claims = sections.flatMap((section) =>
    [...section.querySelectorAll("tbody tr")].map((row) => ({
      row,
      section,
      text: `${row.textContent} ${section.querySelector("h2").textContent}`.toLowerCase(),
      has: Object.fromEntries(
        Object.keys(FILTERS).map((name) => [
          name,
          name === "paper" ? [section.dataset.paper] : (row.dataset[name] ?? "").split(" ").filter(Boolean),
        ])
      ),
      at: Object.fromEntries((row.dataset.atScale ?? "").split(" ").filter(Boolean).map((each) => each.split(":"))),
      by: {
        verdict: VERDICTS.indexOf(row.dataset.verdict),
        distance: row.dataset.distance === undefined ? null : Number(row.dataset.distance),
        claim: row.cells[0].textContent.trim().toLowerCase(),
      },
    }))
  );

  const field = (tag, name, title) => {
    const both = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement(tag);
    label.textContent = title;
    label.htmlFor = input.id = `find-${name}`;
    input.name = name;
    input.autocomplete = "off"; // what is chosen stands in the address, and nowhere else
    both.append(label, input);
    place.append(both);
    return input;
  };
  const option = (select, value, text) => select.add(new Option(text, value));
  const spoken = (value) => value.replaceAll("_", " ");
  const titles = Object.fromEntries(
    sections.map((section) => [section.dataset.paper, section.querySelector("h2").textContent])
  );

  const words = field("input", "text", "Words");
  words.type = "search";
  words.placeholder = "e.g. optimal exponent";
  const selects = {};
  for (const [name, title] of Object.entries(FILTERS)) {
    const count = new Map();
    for (const claim of claims) for (const value of claim.has[name]) count.set(value, (count.get(value) ?? 0) + 1);
    if (!count.size) continue;
    const select = (selects[name] = field("select", name, title));
    const values = [...count.keys()];
    if (name === "verdict") values.sort((a, b) => VERDICTS.indexOf(a) - VERDICTS.indexOf(b));
    else if (name !== "paper") values.sort();
    option(select, "", "all");
    for (const value of values) option(select, value, `${name === "paper" ? titles[value] : spoken(value)} (${count.get(value)})`);
  }
  const order = field("select", "sort", "Order");
  for (const [value, text] of Object.entries(ORDERS)) option(order, value, text);
  const clear = document.createElement("button");
  clear.type = "button";
  clear.textContent = "Clear";
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  said.className = "shown";
  place.append(clear);
  place.after(said);
  place.className = "filter finder";
  place.setAttribute("role", "search");
  place.setAttribute("aria-label", "Find claims");
  const fields = { text: words, ...selects, sort: order };

  const inOrder = (a, b) => {
    const name = order.value.replace("-", "");
    const [first, second] = [a.by[name], b.by[name]];
    // What has no such number stands last in either direction.
    if (first === null || second === null) return (first === null) - (second === null);
    return (order.value.startsWith("-") ? -1 : 1) * compare(first, second);
  };
  let sorted = "";
  const sort = () => {
    if (sorted === order.value) return;
    sorted = order.value;
    const found = sorted ? [...claims].sort(inOrder) : claims;
    for (const { row, section } of found) section.querySelector("tbody").append(row);
    // A paper stands where its first claim would.
    for (const section of new Set(found.map((claim) => claim.section))) after.parentNode.insertBefore(section, after);
  };
  const show = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    // At a chosen scale the verdict is that of this scale.
    const scale = selects.scale?.value;
    const verdictOf = (claim) => (scale && claim.at[scale]) || claim.row.dataset.verdict;
    const fits = (claim) =>
      wanted.every((word) => claim.text.includes(word)) &&
      Object.entries(selects).every(
        ([name, { value }]) => !value || (name === "verdict" ? verdictOf(claim) === value : claim.has[name].includes(value))
      );
    const shown = claims.filter((claim) => !(claim.row.hidden = !fits(claim)));
    const papers = new Set(shown.map((claim) => claim.section));
    for (const section of sections) section.hidden = !papers.has(section);
    sort();
    const counts = VERDICTS.map((verdict) => [shown.filter((claim) => verdictOf(claim) === verdict).length, spoken(verdict)]);
    const told = counts.filter(([n, verdict]) => n || verdict !== "not run").map((each) => each.join(" "));
    const all = shown.length === claims.length;
    said.textContent = all ? "" : `${shown.length} of ${claims.length} claims${scale ? `, at scale ${scale}` : ""}: ${told.join(", ")}`;
    clear.hidden = Object.values(fields).every((each) => !each.value);
  };
  const remember = () => {
    const address = new URL(location.href);
    for (const [name, each] of Object.entries(fields)) {
      if (each.value) address.searchParams.set(name, each.value);
      else address.searchParams.delete(name);
    }
    history.replaceState(history.state, "", address);
  };
  const restore = () => {
    const asked = new URL(location.href).searchParams;
    for (const [name, each] of Object.entries(fields)) {
      each.value = asked.get(name) ?? "";
      if (each.selectedIndex === -1) each.value = ""; // a value that no claim has
    }
    show();
  };

  // Browsers allow only so many changes of the address a minute: typing changes it once it pauses.
  let pause = 0;
  words.addEventListener("input", () => {
    show();
    clearTimeout(pause);
    pause = setTimeout(remember, 250);
  });
  for (const each of [...Object.values(selects), order]) {
    each.addEventListener("change", () => {
      show();
      remember();
    });
  }
  clear.addEventListener("click", () => {
    for (const each of Object.values(fields)) each.value = "";
    show();
    remember();
    words.focus();
  });
  addEventListener("popstate", restore);
  restore();
}

const place = document.getElementById("filter");
if (place && document.querySelectorAll("table.claims tbody tr").length > 1) overview(place);
