"use strict";
(() => {
  const { cases, colours } = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 50;
  const form = document.getElementById("filters");
  const [head, body] = document.querySelectorAll("#answers > thead, #answers > tbody");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  let found = [];
  let shown = 0;

  // Texts of runs only ever become text nodes.
  const make = (tag, text = "", name = "") => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (name) node.className = name;
    return node;
  };

  const fill = (field, names, any) => {
    const options = names.map((name, place) => Object.assign(make("option", name), { value: String(place) }));
    if (any) options.unshift(Object.assign(make("option", any), { value: "" }));
    form.elements[field].replaceChildren(...options);
  };

  const group = () => cases.groups[Number(form.elements.group.value)];

  // Places, within a row's answers, of the methods asked for.
  const columns = () => {
    const chosen = form.elements.method.value;
    const all = group().methods.map((_, place) => place);
    return chosen === "" ? all : [Number(chosen)];
  };

  const verdictFits = (answers, wanted, places) => {
    if (wanted === "") return true;
    if (wanted === "split") {
      return new Set(answers.filter(Boolean).map(([right]) => right).filter((right) => right !== null)).size > 1;
    }
    return places.some((place) => answers[place] && answers[place][0] === (wanted === "right" ? 1 : 0));
  };

  const textFits = ([, , fact, , prompt, expected, before, answers], wanted, places) =>
    wanted === "" ||
    [...cases.facts[fact], prompt, expected, before, ...places.map((place) => answers[place]?.[1])].some(
      (text) => text && text.toLowerCase().includes(wanted),
    );

  const answerCell = (answer) => {
    if (!answer) return make("td", "not asked", "detail");
    const [right, text, accuracy, logNew, logOld] = answer;
    const cell = make("td");
    const mark = right === null ? "" : right ? "✓ " : "✗ ";
    cell.append(make("span", mark + (text ?? ""), right === null ? "" : right ? "right" : "wrong"));
    const details = [];
    if (accuracy !== null) details.push(`tokens ${(100 * accuracy).toFixed(0)} %`);
    if (logNew !== null) details.push(`log P new ${logNew}`);
    if (logOld !== null) details.push(`old ${logOld}`);
    cell.append(make("span", details.join(", "), "detail"));
    return cell;
  };

  const caseRow = ([, , fact, measure, prompt, expected, before, answers], places) => {
    const row = make("tr");
    const [edited, target, old] = cases.facts[fact];
    const question = make("td", prompt);
    question.append(make("span", `fact: ${edited} → ${target}${old ? ` (was ${old})` : ""}`, "fact"));
    row.append(make("td", cases.measures[measure]), question, make("td", expected), make("td", before ?? ""));
    row.append(...places.map((place) => answerCell(answers[place])));
    return row;
  };

  const showMore = () => {
    const places = columns();
    body.append(...found.slice(shown, shown + PAGE).map((row) => caseRow(row, places)));
    shown = Math.min(shown + PAGE, found.length);
    more.hidden = shown >= found.length;
    count.textContent = `${found.length} questions, ${shown} shown`;
  };

  const search = () => {
    const value = (name) => form.elements[name].value;
    const places = columns();
    const text = value("text").trim().toLowerCase();
    found = cases.rows.filter(
      (row) =>
        row[0] === Number(value("group")) &&
        row[1] === Number(value("phase")) &&
        (value("measure") === "" || row[3] === Number(value("measure"))) &&
        verdictFits(row[7], value("verdict"), places) &&
        textFits(row, text, places),
    );
    const titles = ["measure", "question", "expected", "before"].map((name) => make("th", name));
    const methods = places.map((place) => {
      const label = group().methods[place];
      const title = make("th", cases.labels[label]);
      title.style.borderTopColor = colours[label];
      return title;
    });
    const row = make("tr");
    row.append(...titles, ...methods);
    head.replaceChildren(row);
    body.replaceChildren();
    shown = 0;
    showMore();
  };

  const chooseGroup = () => {
    fill("phase", group().phases);
    fill("method", group().methods.map((label) => cases.labels[label]), "all");
  };

  fill("group", cases.groups.map(({ name }) => name));
  fill("measure", cases.measures, "all");
  chooseGroup();
  form.addEventListener("input", ({ target }) => {
    if (target.name === "group") chooseGroup();
    search();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", showMore);
  search();
})();
