for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      const numeric = rows.every((row) => !Number.isNaN(Number(key(row))));
      const compare = (a, b) => (numeric ? a - b : a.localeCompare(b));
      rows.sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        return a === "" || b === "" ? (a === "") - (b === "") : sign * compare(a, b);
      });
      table.tBodies[0].append(...rows);
    });
  });
}
