// The table of candidates: sorting, filtering, ticking. Knows nothing of the charts but that they want to hear of ticks.

const PAGE_OF_ROWS = 200;

function columnsOf(data) {
  const number = (label, values, more = {}) => ({ label, values, isNumber: true, ...more });
  const criteria = Object.keys(data.criteria);
  const essential = new Set([data.criterion, 'mean', 'std']);
  const names = [data.criterion, ...criteria.filter((name) => name !== data.criterion)];
  return [
    { label: 'candidate', values: data.names, isKey: true },
    number('rank', data.names.map((_, row) => row + 1)),
    ...names.map((name) => number(name, data.criteria[name], { isMain: name === data.criterion, isExtra: !essential.has(name) })),
    number('instances', data.instances),
    number('diverged or failed', data.unusable),
    number('discarded at step', data.discardedAt, { nothing: 'left' }),
    ...data.params.map(({ label, values }) => ({ label, values, isNumber: values.every((v) => v === null || isNumber(v)), isParam: true })),
    { label: 'caveats', values: data.caveats, isLong: true },
  ];
}

// Numbers by size, infinite ones at their end, then text; what is missing always comes last.
function compare(a, b, sign) {
  const isMissing = (v) => v === null || v === undefined || v === '';
  if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
  const size = (v) => (v === 'inf' ? Infinity : v === '-inf' ? -Infinity : v);
  const [x, y] = [size(a), size(b)];
  if (isNumber(x) && isNumber(y)) return x === y ? 0 : sign * (x < y ? -1 : 1);
  if (isNumber(x) !== isNumber(y)) return isNumber(x) ? -1 : 1;
  return sign * String(x).localeCompare(String(y), 'en', { numeric: true });
}

const haystacksOf = (data) => data.names.map((name, row) =>
  [name, data.caveats[row], ...data.params.map(({ label, values }) => `${label}=${shown(values[row], 17)}`)].join('\n').toLowerCase());

function makeTable(given, ticked, onTick) {
  const by = (id) => document.getElementById(id);
  let data = given, all = columnsOf(data), haystacks = haystacksOf(data);
  const state = { column: 'rank', sign: 1, nShown: PAGE_OF_ROWS };

  const columns = () => all.filter((column) => !column.isExtra || by('table-all').checked);

  function head() {
    const row = document.createElement('tr');
    for (const column of columns()) {
      const cell = document.createElement('th'), button = document.createElement('button');
      cell.scope = 'col';
      if (column.isNumber) cell.classList.add('number');
      if (column.isKey) cell.classList.add('key');
      const isSorted = state.column === idOf(column);
      if (isSorted) cell.ariaSort = state.sign > 0 ? 'ascending' : 'descending';
      button.type = 'button';
      button.textContent = column.label;
      button.dataset.column = idOf(column);
      button.addEventListener('click', () => sortBy(column));
      cell.append(button);
      row.append(cell);
    }
    by('table-head').replaceChildren(row);
  }

  const idOf = (column) => (column.isParam ? `param ${column.label}` : column.label);

  function sortBy(column) {
    state.sign = state.column === idOf(column) ? -state.sign : 1;
    state.column = idOf(column);
    render();
    const buttons = [...by('table-head').querySelectorAll('button')];
    buttons.find((button) => button.dataset.column === state.column)?.focus();
  }

  function rowsWanted() {
    const words = by('table-filter').value.toLowerCase().split(/\s+/).filter(Boolean), status = by('table-status').value;
    const column = all.find((one) => idOf(one) === state.column);
    const isWanted = { all: () => true, left: (row) => data.isLeft[row], discarded: (row) => !data.isLeft[row], ticked: (row) => ticked.has(row) }[status];
    return data.names.map((_, row) => row)
      .filter((row) => isWanted(row) && words.every((word) => haystacks[row].includes(word)))
      .sort((a, b) => compare(column.values[a], column.values[b], state.sign) || a - b);
  }

  function cellOf(column, row) {
    const cell = document.createElement('td'), value = column.values[row];
    if (column.isNumber) cell.classList.add('number');
    if (column.isMain) cell.classList.add('main');
    if (column.isLong) cell.classList.add('long');
    if (!column.isKey) {
      cell.textContent = value === null && column.nothing ? column.nothing : shown(value);
      return cell;
    }
    const label = document.createElement('label'), box = document.createElement('input'), text = document.createElement('span');
    cell.classList.add('key');
    box.type = 'checkbox';
    box.checked = ticked.has(row);
    box.setAttribute('aria-label', `Mark ${value} in the figures`);
    box.addEventListener('change', () => {
      if (box.checked) ticked.add(row); else ticked.delete(row);
      onTick(row);
    });
    text.textContent = row === data.base ? `★ ${value}` : value;
    label.append(box, text);
    cell.append(label);
    return cell;
  }

  function render() {
    head();
    const rows = rowsWanted(), shownRows = rows.slice(0, state.nShown), wanted = columns();
    by('table-body').replaceChildren(...shownRows.map((row) => {
      const line = document.createElement('tr');
      if (row === 0) line.className = 'selected'; else if (!data.isLeft[row]) line.className = 'gone';
      line.append(...wanted.map((column) => cellOf(column, row)));
      return line;
    }));
    const nAll = data.names.length.toLocaleString('en');
    const counted = rows.length === data.names.length ? plural(data.names.length, 'candidate') : `${rows.length.toLocaleString('en')} of ${nAll} candidates`;
    by('table-count').textContent = shownRows.length < rows.length ? `${counted}, the first ${shownRows.length} shown` : counted;
    by('table-more').hidden = shownRows.length === rows.length;
  }

  const restart = () => { state.nShown = PAGE_OF_ROWS; render(); };
  by('table-filter').addEventListener('input', restart);
  by('table-status').addEventListener('change', restart);
  by('table-all').addEventListener('change', render);
  by('table-more').addEventListener('click', () => { state.nShown += 5 * PAGE_OF_ROWS; render(); });
  const replace = (other) => {
    data = other;
    all = columnsOf(data);
    haystacks = haystacksOf(data);
    render();
  };
  render();
  return { render, replace };
}

// ---- scores as a file ---------------------------------------------------------------------------------------

const quoted = (value) => (/[",\r\n]/.test(value) || value !== value.trim() ? `"${value.replace(/"/g, '""')}"` : value);

function scoresAsCsv(data) {
  const rows = data.names.map((_, row) => row).sort((a, b) => data.position[a] - data.position[b]);
  const lines = ['candidate,replicate,score,state'];
  for (const row of rows) {
    data.scores[row].forEach((score, replicate) => {
      if (score !== null) lines.push(`${quoted(data.names[row])},${replicate},${isNumber(score) ? `${score},complete` : ',diverged'}`);
    });
  }
  return `${lines.join('\n')}\n`;
}

function saveScores(data) {
  const link = document.createElement('a'), url = URL.createObjectURL(new Blob([scoresAsCsv(data)], { type: 'text/csv' }));
  link.href = url;
  link.download = 'scores.csv';
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
