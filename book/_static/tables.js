// On a narrow screen a table that is wider than its column becomes one block a row, each cell beside its column's name.
// Without JavaScript it scrolls in its box, as it does on paper and wide screens.
(function () {
  "use strict";
  const NARROW = "(max-width: 600px)";
  const SHORT = 20; // characters of a name and its cell that fit half a line
  const PAIR = [26, 16]; // those that fit three and two fifths of a line

  // {name, first, size} of each column: its own heading; the headings above it, where it is the first below them; and how
  // many columns those headings span.
  function headings(table) {
    const levels = [...table.tHead.rows].map((row) => [...row.cells].flatMap((cell) => Array(cell.colSpan).fill(cell.textContent.trim())));
    const count = Math.max(...levels.map((level) => level.length));
    const columns = Array.from({ length: count }, (_, column) => levels.map((level) => level[column] || "").filter(Boolean));
    const above = columns.map((names) => names.slice(0, -1).join(", "));
    return columns.map((names, column) => ({
      name: names.at(-1) || "",
      first: above[column] && above[column] !== above[column - 1] ? above[column] : "",
      size: above.filter((group) => group && group === above[column]).length,
    }));
  }

  // The cells of a line: two, where they fit and none of a group is left over. Of a group of two the first, which also says
  // the group's name, needs more room.
  function widths(columns, largest) {
    if (largest === 0 || (largest > 2 && largest % 2 === 0)) return "1fr 1fr";
    const fits = (column) => column.size !== 2 || column.length <= PAIR[column.first ? 0 : 1];
    return largest === 2 && columns.every(fits) ? "3fr 2fr" : "1fr";
  }

  // A row may begin with fewer cells than there are columns: a heading above reaches down to it.
  function mark(table) {
    const columns = headings(table);
    const largest = Math.max(...columns.map((column) => column.size)); // group of columns, each of which begins a line
    table.classList.toggle("vrnn3d-grouped", largest > 0);
    table.setAttribute("role", "table");
    const rows = [...table.tBodies[0].rows];
    const start = (row) => columns.length - [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0);
    const length = (row, column) => (row.cells[column - start(row)]?.textContent || "").trim().length;
    for (const [place, column] of columns.entries()) {
      column.label = column.first ? `${column.first}: ${column.name}` : column.name;
      column.length = column.label.length + Math.max(...rows.map((row) => length(row, place)));
      column.kind = largest > 1 || column.length <= SHORT ? "vrnn3d-short" : "vrnn3d-long";
    }
    table.style.setProperty("--vrnn3d-columns", widths(columns, largest));
    for (const row of rows) {
      let column = start(row);
      row.setAttribute("role", "row");
      for (const cell of row.cells) {
        const { label = "", first = "", kind = "vrnn3d-long" } = columns[column] || {};
        const heading = cell.tagName === "TH" || column === 0;
        cell.dataset.label = label;
        cell.setAttribute("role", heading ? "rowheader" : "cell");
        cell.classList.add(heading ? "vrnn3d-row-name" : kind);
        cell.classList.toggle("vrnn3d-first", first !== "");
        column += cell.colSpan;
      }
    }
  }

  function box(table) {
    for (let element = table.parentElement; element; element = element.parentElement) {
      if (element.clientWidth && getComputedStyle(element).overflowX !== "visible") return element;
    }
    return document.documentElement;
  }

  function arrange(table) {
    table.classList.remove("vrnn3d-stacked");
    if (matchMedia(NARROW).matches && table.scrollWidth > box(table).clientWidth + 1) table.classList.add("vrnn3d-stacked");
  }

  function start() {
    const tables = [...document.querySelectorAll(".bd-article table")].filter((table) => table.tHead && table.tBodies.length === 1);
    tables.forEach(mark);
    const all = () => tables.filter((table) => table.offsetParent).forEach(arrange);
    all();
    let width = innerWidth; // a phone's address bar changes the height at every scroll
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; all(); } });
    document.querySelectorAll(".bd-article details").forEach((details) => details.addEventListener("toggle", all)); // folded tables have no width
  }

  if (document.readyState === "complete") start();
  else addEventListener("load", start);
})();
