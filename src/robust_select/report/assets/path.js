// The selection path and its slider: who was kept, removed, or removed earlier, at any step.

const MOST_LINES = 600;
const N_FADES = 5;

// What a candidate is at a point of the path: in the end selected, ticked, kept then, removed then, or gone before.
function roleAt(data, ticked, row, at) {
  if (row === 0) return 'selected';
  if (ticked.has(row)) return 'ticked';
  return { k: 'left', r: 'removed', '-': 'gone' }[data.path.states[row][at] ?? '-'];
}

const namesAt = (data, at) => ({
  selected: `selected: ${plain(cut(data.names[0], 28))}`, ticked: 'ticked', left: at === data.path.x.length - 1 ? 'left' : 'kept', removed: 'removed in this step', gone: data.path.isEven ? 'removed earlier' : 'set aside earlier',
});

// The last point up to this one at which the candidate took part; -1 if none.
function lastIn(path, row, at) {
  const states = path.states[row];
  for (let point = Math.min(at, states.length - 1); point >= 0; point -= 1) if (states[point] !== '-') return point;
  return -1;
}

// Of all candidates, those among them that the page does not show one by one.
function countAt({ path, nCandidates }, at) {
  return { k: path.alive[at] - path.removed[at], r: path.removed[at], '-': nCandidates - path.alive[at] };
}

function sayStep(data, at) {
  const { path } = data, count = countAt(data, at), n = (value) => value.toLocaleString('en');
  const when = path.isEven ? `${path.isWarmup[at] ? 'Warm-up' : `Step ${path.steps[at]}`}, ${plural(path.x[at], 'instance')} each` : `After ${plural(path.x[at], 'training')}`;
  const cost = path.isEven ? `; ${plural(path.trainings[at], 'training')} so far` : '';
  return `${when}: ${n(count.k)} kept, ${n(count.r)} removed, ${n(count['-'])} ${path.isEven ? 'removed earlier' : 'set aside earlier'}${cost}`;
}

// One trace for many candidates, their lines apart from each other.
function linesOf(data, rows, at, style) {
  const { path } = data, x = [], y = [], customdata = [], text = [], symbols = [];
  for (const row of rows) {
    const values = path.values[row], n = Math.min(values.length, at + 1), isOut = (path.states[row][at] ?? '-') !== 'k', last = lastIn(path, row, at), about = hoverOf(data, row);
    for (let point = 0; point < n; point += 1) {
      if (!path.isEven && point && point < n - 1 && point !== last && values[point - 1] === values[point] && values[point + 1] === values[point]) continue; // on a straight line
      x.push(path.x[point]); y.push(isNumber(values[point]) ? values[point] : null); customdata.push(row);
      text.push(about + atStep(path, row, point, values[point])); symbols.push(isOut && point === last ? 'x-thin-open' : style.symbol);
    }
    x.push(null); y.push(null); customdata.push(null); text.push(''); symbols.push(style.symbol);
  }
  for (const list of [x, y, customdata, text, symbols]) list.pop();
  const isCross = symbols.map((symbol) => symbol === 'x-thin-open');
  return {
    x, y, customdata, text, hoverinfo: 'text', mode: 'lines+markers', name: style.name, showlegend: style.showlegend ?? true,
    line: { color: style.colour, width: style.width, dash: style.dash ?? 'solid' },
    marker: { symbol: symbols, color: style.colour, size: isCross.map((cross) => (cross ? style.cross ?? 8 : style.size)),
      line: { width: isCross.map((cross) => (cross ? style.crossWidth ?? 2 : 0)), color: style.colour } },
  };
}

function fadedLines(data, rows, at) {
  const lasts = [...new Set(rows.map((row) => lastIn(data.path, row, at)))].sort((a, b) => a - b);
  const fadeOf = (row) => Math.floor((lasts.indexOf(lastIn(data.path, row, at)) * N_FADES) / lasts.length);
  const faintest = rows.length > 200 ? 0.07 : rows.length > 60 ? 0.16 : 0.3, found = [];
  for (let fade = 0; fade < N_FADES; fade += 1) {
    const of = rows.filter((row) => fadeOf(row) === fade);
    if (of.length) {
      found.push(linesOf(data, of, at, { symbol: 'circle', colour: withAlpha(colour('gone'), faintest + (0.55 * fade) / N_FADES), width: 1,
        size: data.path.isEven ? 2.5 : 1, cross: 6, crossWidth: 1.3, showlegend: false }));
    }
  }
  return found;
}

function drawPath(box, note, data, ticked, scale, at, onPick) {
  const { path } = data;
  if (leaveOut(box, note, !path.steps.length, 'No step has been decided yet.')) return;
  if (leaveOut(box, note, !path.values.flat().some(isNumber), 'The criterion of every candidate is infinite.')) return;
  const rowsOf = Object.fromEntries(['gone', 'removed', 'left', 'ticked', 'selected'].map((role) => [role, []])), names = namesAt(data, at);
  data.names.forEach((_, row) => rowsOf[roleAt(data, ticked, row, at)].push(row));
  const nHidden = ['gone', 'removed', 'left'].reduce((sum, role) => sum + Math.max(0, rowsOf[role].length - MOST_LINES), 0);
  const traces = fadedLines(data, rowsOf.gone.slice(0, MOST_LINES), at);
  if (rowsOf.gone.length) {
    traces.push({ x: [null], y: [null], mode: 'lines+markers', name: names.gone, hoverinfo: 'skip',
      line: { color: colour('gone'), width: 1 }, marker: { symbol: 'x-thin-open', size: 6, color: colour('gone'), line: { width: 1.3, color: colour('gone') } } });
  }
  for (const role of ['removed', 'left', 'ticked', 'selected']) {
    const rows = rowsOf[role].slice(0, role === 'ticked' ? undefined : MOST_LINES), isMany = rows.length > 60;
    if (!rows.length) continue;
    const size = !path.isEven ? 2.5 : role === 'selected' ? 7 : isMany ? 3 : 5;
    traces.push(linesOf(data, rows, at, { symbol: role === 'removed' ? 'circle' : SYMBOLS[role], colour: isMany ? withAlpha(colour(role), 0.45) : colour(role), name: names[role], size,
      width: role === 'selected' ? 3.2 : isMany ? 1 : 1.6, dash: role === 'ticked' ? 'dot' : 'solid' }));
  }
  if (data.base !== null) {
    const n = Math.min(path.values[data.base].length, at + 1), first = path.isEven ? 0 : Math.max(0, n - 1); // between steps stars would stand too close
    traces.push(baseStar(data, path.x.slice(first, n), path.values[data.base].slice(first, n)));
  }
  const everything = path.values.flat(), low = isBetterLow(data), isLast = at === path.x.length - 1;
  const layout = layoutOf(box, {
    showlegend: true,
    xaxis: { title: { text: `${path.isEven ? 'instances of each candidate' : 'trainings of all candidates together'}<br><i>candidates that took part</i>` },
      ...(path.isEven ? stepTicks(path, box.clientWidth) : roundTicks(path, box.clientWidth)), range: rangeOf(path) },
    yaxis: { title: { text: `${plain(data.criterion)} of the scores (${better(low)})` }, ...held(scaleOf(everything, scale, low, path.values[0]), everything) },
    margin: marginOf(box, { t: isWide(box) ? 60 : 92, b: 84 }),
    shapes: isLast ? [] : [{ type: 'line', xref: 'x', yref: 'paper', x0: path.x[at], x1: path.x[at], y0: 0, y1: 1, line: { color: colour('focus'), width: 1.2, dash: 'dash' }, layer: 'below' }],
  });
  draw(box, traces, layout, onPick);
  note.textContent = notesOfPath(data, scale, nHidden).join(' ');
}

function notesOfPath({ path }, scale, nHidden) {
  const notes = scale === 'close' ? [CLOSE_NOTE] : [];
  if (nHidden) notes.push(`${plural(nHidden, 'candidate')} of the worst are left out of the drawing.`);
  const nInfinite = path.values.filter((values) => values.some((v) => typeof v === 'string')).length;
  if (nInfinite) notes.push(`${plural(nInfinite, 'candidate')} with an infinite criterion (diverged, failed, or outside the tolerance) cannot be drawn where it is infinite.`);
  const nWarm = path.isWarmup.filter(Boolean).length;
  if (nWarm) notes.push(`Nobody could be discarded before the warm-up of ${plural(path.x[nWarm] ?? nWarm, path.isEven ? 'instance' : 'training')} was over.`);
  if (!path.isEven) notes.push('The rule trains some candidates more often than others; a line is interrupted while its candidate was set aside.');
  return notes;
}

function atStep(path, row, step, value) {
  const when = path.isEven ? plural(path.x[step], 'instance') : `${plural(path.x[step], 'training')}, ${path.counts[row][step].toLocaleString('en')} of them its own`;
  return `<br>after ${when}: ${shown(value)}`;
}

function rangeOf(path) {
  const first = path.x[0], last = path.x.at(-1), margin = path.isEven ? 0.3 : 0.02 * (last - first) || 1;
  return [first - margin, last + margin];
}

function stepTicks(path, width) {
  const n = path.x.length, every = Math.ceil(n / Math.max(3, Math.floor(width / 48)));
  const at = [...Array(n).keys()].filter((step) => (n - 1 - step) % every === 0);
  return { tickmode: 'array', tickvals: at.map((s) => path.x[s]), ticktext: at.map((s) => `${path.x[s]}<br><i>${path.alive[s]}</i>`) };
}

// Ticks at round numbers of trainings; below each how many candidates took part then.
function roundTicks(path, width) {
  const first = path.x[0], last = path.x.at(-1), rough = Math.max(1, (last - first) / Math.max(2, Math.floor(width / 90)));
  const power = 10 ** Math.floor(Math.log10(rough)), size = [1, 2, 5, 10].map((step) => step * power).find((step) => step >= rough);
  const tickvals = [];
  for (let tick = Math.ceil(first / size) * size; tick <= last; tick += size) tickvals.push(tick);
  const alive = (tick) => path.alive[path.x.findLastIndex((x) => x <= tick)];
  return { tickmode: 'array', tickvals, ticktext: tickvals.map((tick) => `${tick.toLocaleString('en')}<br><i>${alive(tick)}</i>`) };
}
