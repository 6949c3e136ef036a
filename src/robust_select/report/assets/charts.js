// The four charts. Reads the page's data and the colours of its style sheet; knows nothing of the table.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
const MOST_LINES = 600;
const MOST_POINTS = 3000;
const N_FADES = 5;

const isNumber = (value) => typeof value === 'number';
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Plotly reads its texts as a kind of HTML: names are shown as they are.
const plain = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const cut = (text, length) => {
  const letters = [...String(text)];
  return letters.length > length ? `${letters.slice(0, length - 1).join('')}…` : String(text);
};

// Leaves out the middle: names of a grid differ at their ends.
const cutMiddle = (text, length) => {
  const letters = [...String(text)], end = Math.floor((length - 1) / 2);
  if (letters.length <= length) return String(text);
  return `${letters.slice(0, length - 1 - end).join('')}…${letters.slice(letters.length - end).join('')}`;
};

function shown(value, digits = 4) {
  if (value === null || value === undefined) return '';
  if (value === 'inf') return '∞';
  if (value === '-inf') return '−∞';
  if (!isNumber(value)) return String(value);
  if (Number.isInteger(value)) return String(value).replace('-', '−');
  return String(Number(value.toPrecision(digits))).replace('-', '−');
}

const plural = (n, noun) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;

function withAlpha(hex, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

// ---- scales -------------------------------------------------------------------------------------------------

function quantile(values, level) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(level * (sorted.length - 1))];
}

// 'all', 'close' (the better half, by what isBetterLow says) or 'log'; null leaves the range to Plotly.
function scaleOf(values, kind, isBetterLow, also = []) {
  const known = values.filter(isNumber);
  if (!known.length) return { type: 'linear' };
  if (kind === 'log') return { type: 'log', tickmode: 'array', ...logTicks(known.filter((v) => v > 0)) };
  if (kind !== 'close') return { type: 'linear' };
  const kept = [...also.filter(isNumber), ...known.filter((v) => isBetterLow === v <= quantile(known, 0.5))];
  const low = quantile(kept, 0), high = quantile(kept, 1), margin = 0.06 * (high - low || Math.abs(high) || 1);
  return { type: 'linear', range: [low - margin, high + margin] };
}

// Ticks at round multiples of powers of ten, written out; fewer a decade the more decades there are.
function logTicks(values) {
  const low = quantile(values, 0), high = quantile(values, 1), tickvals = [];
  const steps = high / low > 2000 ? [1] : high / low > 12 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    steps.forEach((step) => tickvals.push(Number(`${step}e${power}`)));
  }
  return { tickvals, ticktext: tickvals.map((value) => shown(value)) };
}

// Leaves out ticks of a logarithmic axis that stand too close on a narrow screen, be it beside long names.
function thinned(scale, values, box) {
  if (scale.type !== 'log' || isWide(box)) return scale;
  const known = values.filter((v) => isNumber(v) && v > 0), room = Math.max(100, box.clientWidth - 180);
  const decades = Math.log10(quantile(known, 1) / quantile(known, 0)) || 1, kept = [];
  for (const tick of scale.tickvals) if (!kept.length || Math.log10(tick / kept.at(-1)) * room / decades >= 48) kept.push(tick);
  return { ...scale, tickvals: kept, ticktext: kept.map((value) => shown(value)), tickangle: 0 };
}

// Begin with the scale on which the better half can be told apart.
function offerScales(select, values, isBetterLow) {
  const known = values.filter(isNumber), options = [['all', 'everything'], ['close', 'the better half']];
  const [low, high] = known.length ? known.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]) : [0, 0];
  if (low > 0) options.push(['log', 'logarithmic']);
  fillSelect(select, options);
  if (!(high > low)) return;
  const middle = quantile(known, 0.5), share = (isBetterLow ? middle - low : high - middle) / (high - low || 1);
  if (low > 0 && high / low > 8) select.value = 'log';
  else if (share < 0.2) select.value = 'close';
}

function fillSelect(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

// ---- drawing ------------------------------------------------------------------------------------------------

const isWide = (box) => box.clientWidth >= 640;

// Room at the right for the buttons, where there are any.
const marginOf = (box, more = {}) => ({ l: 56, r: isWide(box) ? 46 : 16, t: 44, b: 56, ...more });

// A drawing without anything finite in it is left out, with a word instead.
function leaveOut(box, note, isEmpty, words) {
  box.hidden = isEmpty;
  if (isEmpty) note.textContent = words;
  return isEmpty;
}

const CLOSE_NOTE = 'The scale shows the better half only.';

function layoutOf(box, more) {
  const ink = colour('ink'), soft = colour('soft'), grid = colour('grid'), line = colour('line');
  const axis = {
    gridcolor: grid, linecolor: line, zeroline: false, ticks: 'outside', tickcolor: line, ticklen: 4,
    tickfont: { color: soft, size: 12 }, title: { font: { color: ink, size: 13 }, standoff: 12 }, automargin: true,
    exponentformat: 'power', minor: { showgrid: false },
  };
  const legend = {
    orientation: 'h', x: 0, xanchor: 'left', y: 1, yanchor: 'bottom', font: { color: ink, size: 12.5 },
    itemclick: false, itemdoubleclick: false, bgcolor: 'rgba(0,0,0,0)',
  };
  const { xaxis, yaxis, ...rest } = more;
  const merge = (own) => ({ ...axis, ...own, title: { ...axis.title, ...own.title } });
  return {
    font: { family: FONT, color: ink }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    margin: marginOf(box), hovermode: 'closest', legend, dragmode: isWide(box) ? 'zoom' : false,
    hoverlabel: { bgcolor: colour('raised'), bordercolor: line, font: { color: ink, family: FONT, size: 13 }, align: 'left' },
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: soft, activecolor: ink, orientation: 'v' }, ...rest, xaxis: merge(xaxis), yaxis: merge(yaxis),
  };
}

function draw(box, traces, layout, onPick) {
  const config = {
    displaylogo: false, responsive: true, displayModeBar: isWide(box) ? 'hover' : false,
    modeBarButtons: [['zoom2d', 'pan2d', 'resetScale2d', 'toImage']],
    toImageButtonOptions: { format: 'svg', filename: box.id },
  };
  Plotly.react(box, traces, layout, config);
  box.removeAllListeners('plotly_click');
  box.on('plotly_click', (event) => {
    const row = event.points[0].customdata;
    if (isNumber(row)) onPick(row);
  });
}

const roleOf = (data, ticked, row) =>
  row === 0 ? 'selected' : ticked.has(row) ? 'ticked' : data.isLeft[row] ? 'left' : 'gone';

const ROLE_NAMES = { selected: 'selected', left: 'left', ticked: 'ticked', gone: 'discarded' };
const SYMBOLS = { selected: 'diamond', left: 'circle', ticked: 'square', gone: 'circle' };

function hoverOf(data, row) {
  const lines = [`<b>${plain(cut(data.names[row], 60))}</b>`];
  lines.push(`${plain(data.criterion)} ${shown(data.criteria[data.criterion][row])} over ${plural(data.instances[row], 'instance')}`);
  if (data.discardedAt[row] !== null) lines.push(`discarded at step ${data.discardedAt[row]}`);
  if (data.unusable[row]) lines.push(`${data.unusable[row]} diverged or failed`);
  return lines.join('<br>');
}

const isBetterLow = (data) => data.direction === 'minimize' || data.kind === 'spread';
const better = (low) => (low ? 'lower is better' : 'higher is better');

// ---- selection path -----------------------------------------------------------------------------------------

function rowsOnPath(data, ticked) {
  const gone = [], others = [];
  data.names.forEach((_, row) => (roleOf(data, ticked, row) === 'gone' ? gone : others).push(row));
  return { gone: gone.slice(0, MOST_LINES), left: others, nHidden: Math.max(0, gone.length - MOST_LINES) };
}

function drawPath(box, note, data, ticked, scale, onPick) {
  const { path } = data;
  if (leaveOut(box, note, !path.steps.length, 'No step has been decided yet.')) return;
  if (leaveOut(box, note, !path.values.flat().some(isNumber), 'The criterion of every candidate is infinite.')) return;
  const { gone, left, nHidden } = rowsOnPath(data, ticked);
  const traces = [];
  const stepsOfDiscard = [...new Set(gone.map((row) => data.discardedAt[row]))].sort((a, b) => a - b);
  const fadeOf = (row) => Math.floor((stepsOfDiscard.indexOf(data.discardedAt[row]) * N_FADES) / stepsOfDiscard.length);
  const faintest = gone.length > 200 ? 0.07 : gone.length > 60 ? 0.16 : 0.3;
  for (let fade = 0; fade < N_FADES; fade += 1) {
    const rows = gone.filter((row) => fadeOf(row) === fade);
    if (!rows.length) continue;
    const x = [], y = [], at = [], texts = [], symbols = [];
    for (const row of rows) {
      const values = path.values[row], text = hoverOf(data, row);
      values.forEach((value, step) => {
        x.push(path.x[step]); y.push(isNumber(value) ? value : null); at.push(row); texts.push(`${text}${atStep(path, row, step, value)}`);
        symbols.push(step === values.length - 1 ? 'x-thin-open' : 'circle');
      });
      x.push(null); y.push(null); at.push(null); texts.push(''); symbols.push('circle');
    }
    const alpha = faintest + (0.55 * fade) / N_FADES;
    traces.push({
      x, y, customdata: at, text: texts, hoverinfo: 'text', mode: 'lines+markers', showlegend: false,
      line: { color: withAlpha(colour('gone'), alpha), width: 1 },
      marker: { symbol: symbols, color: withAlpha(colour('gone'), alpha), size: symbols.map((s) => (s === 'circle' ? (path.isEven ? 2.5 : 1) : 6)),
        line: { width: symbols.map((s) => (s === 'circle' && !path.isEven ? 0 : 1.3)), color: withAlpha(colour('gone'), alpha) } },
    });
  }
  if (gone.length) {
    traces.push({ x: [null], y: [null], mode: 'lines+markers', name: 'discarded', hoverinfo: 'skip',
      line: { color: colour('gone'), width: 1 }, marker: { symbol: 'x-thin-open', size: 6, color: colour('gone'), line: { width: 1.3, color: colour('gone') } } });
  }
  const named = new Set();
  for (const row of [...left].reverse()) {
    const role = roleOf(data, ticked, row), values = path.values[row], isGone = data.discardedAt[row] !== null;
    const symbols = values.map((_, step) => (isGone && step === values.length - 1 ? 'x-thin-open' : SYMBOLS[role]));
    const width = role === 'selected' ? 3.2 : 1.6, size = !path.isEven ? 2.5 : role === 'selected' ? 7 : left.length > 60 ? 3 : 5;
    traces.push({
      x: path.x.slice(0, values.length), y: values.map((v) => (isNumber(v) ? v : null)),
      customdata: values.map(() => row), text: values.map((v, step) => hoverOf(data, row) + atStep(path, row, step, v)), hoverinfo: 'text', mode: 'lines+markers',
      name: role === 'selected' ? `selected: ${plain(cut(data.names[0], 28))}` : ROLE_NAMES[role],
      showlegend: !named.has(role), line: { color: colour(role), width, dash: role === 'ticked' ? 'dot' : 'solid' },
      marker: { symbol: symbols, size: symbols.map((s) => (s === 'x-thin-open' ? 8 : size)), color: colour(role), line: { width: symbols.map((s) => (s === 'x-thin-open' ? 2 : 0)), color: colour(role) } },
    });
    named.add(role);
  }
  if (data.base !== null) {
    const n = path.values[data.base].length, first = path.isEven ? 0 : n - 1; // between steps stars would stand too close
    traces.push(baseStar(data, path.x.slice(first, n), path.values[data.base].slice(first)));
  }
  const everything = path.values.flat();
  const low = isBetterLow(data);
  const layout = layoutOf(box, {
    showlegend: true,
    xaxis: { title: { text: `${path.isEven ? 'instances of each candidate' : 'trainings of all candidates together'}<br><i>candidates that took part</i>` },
      ...(path.isEven ? stepTicks(path, box.clientWidth) : roundTicks(path, box.clientWidth)), range: rangeOf(path) },
    yaxis: { title: { text: `${plain(data.criterion)} of the scores (${better(low)})` }, ...scaleOf(everything, scale, low, path.values[0]) },
    margin: marginOf(box, { t: 60, b: 84 }),
  });
  draw(box, traces, layout, onPick);
  const notes = scale === 'close' ? [CLOSE_NOTE] : [];
  if (nHidden) notes.push(`${plural(nHidden, 'discarded candidate')} of the worst are left out of the drawing.`);
  const nInfinite = path.values.filter((values) => values.some((v) => typeof v === 'string')).length;
  if (nInfinite) notes.push(`${plural(nInfinite, 'candidate')} with an infinite criterion (diverged, failed, or outside the tolerance) cannot be drawn where it is infinite.`);
  const nWarm = path.isWarmup.filter(Boolean).length;
  if (nWarm) notes.push(`Nobody could be discarded before the warm-up of ${plural(path.x[nWarm] ?? nWarm, path.isEven ? 'instance' : 'training')} was over.`);
  if (!path.isEven) notes.push('The rule trains some candidates more often than others; a line is interrupted while its candidate was set aside.');
  note.textContent = notes.join(' ');
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

function baseStar(data, x, y) {
  const row = data.base;
  return { x: [...x], y: y.map((v) => (isNumber(v) ? v : null)), mode: 'markers', name: `base model: ${plain(cut(data.names[row], 28))}`,
    customdata: x.map(() => row), text: x.map(() => hoverOf(data, row)), hoverinfo: 'text',
    marker: { symbol: 'star', size: 12, color: colour('base'), line: { width: 1, color: colour('paper') } } };
}

// ---- trainings by candidate ---------------------------------------------------------------------------------

const MOST_BARS = 60;

function drawTrainings(box, note, data, ticked, onPick) {
  const counts = data.instances, n = counts.length, total = counts.reduce((sum, count) => sum + count, 0);
  if (leaveOut(box, note, !total, 'Nothing has been trained yet.')) return;
  if (n <= MOST_BARS) drawBars(box, data, ticked, onPick); else drawStairs(box, data, ticked, onPick);
  let nHalf = 0;
  for (let sum = 0; 2 * sum < total; nHalf += 1) sum += counts[nHalf];
  const who = nHalf === 1 ? 'the first candidate' : `the first ${nHalf.toLocaleString('en')} candidates`;
  note.textContent = n === 1 ? '' : `${plural(total, 'training')}; half of them went to ${who} of ${n.toLocaleString('en')}.`;
}

function drawBars(box, data, ticked, onPick) {
  const n = data.names.length, pitch = n > 40 ? 17 : 22, traces = [];
  box.style.height = `${n * pitch + 110}px`;
  for (const role of ['gone', 'left', 'ticked', 'selected']) {
    const of = data.names.map((_, row) => row).filter((row) => roleOf(data, ticked, row) === role);
    if (!of.length) continue;
    traces.push({ type: 'bar', orientation: 'h', y: of, x: of.map((row) => data.instances[row]), customdata: of, width: 0.7, name: ROLE_NAMES[role],
      text: of.map((row) => data.instances[row].toLocaleString('en')), textposition: 'outside', textfont: { size: 11, color: colour('soft') }, cliponaxis: false,
      hovertext: of.map((row) => hoverOf(data, row)), hoverinfo: 'text', marker: { color: colour(role) } });
  }
  draw(box, traces, layoutOf(box, {
    showlegend: true, barmode: 'overlay', margin: marginOf(box, { l: 40 }),
    xaxis: { title: { text: 'trainings of the candidate' }, rangemode: 'tozero' },
    yaxis: { tickmode: 'array', tickvals: data.names.map((_, row) => row), ticktext: data.names.map((_, row) => nameOnAxis(data, row, box)), range: [n - 0.4, -0.6],
      ticks: '', tickfont: { size: n > 40 ? 11 : 12, color: colour('ink') }, showgrid: false, fixedrange: true, title: { text: '' } },
  }), onPick);
}

function drawStairs(box, data, ticked, onPick) {
  const rows = data.names.map((_, row) => row), rankOf = (row) => row + 1, traces = [];
  box.style.height = '';
  traces.push({ x: rows.map(rankOf), y: data.instances, customdata: rows, mode: 'lines', name: 'discarded', text: rows.map((row) => hoverOf(data, row)), hoverinfo: 'text',
    line: { color: colour('gone'), width: 2, shape: 'hvh' } });
  for (const role of ['left', 'ticked', 'selected']) {
    const of = rows.filter((row) => roleOf(data, ticked, row) === role);
    if (!of.length) continue;
    traces.push({ x: of.map(rankOf), y: of.map((row) => data.instances[row]), customdata: of, mode: 'markers', name: ROLE_NAMES[role], text: of.map((row) => hoverOf(data, row)),
      hoverinfo: 'text', marker: { symbol: SYMBOLS[role], color: colour(role), size: role === 'selected' ? 12 : of.length > 100 ? 4 : 7 } });
  }
  if (data.base !== null) traces.push(baseStar(data, [rankOf(data.base)], [data.instances[data.base]]));
  const known = data.instances.filter((count) => count > 0), isSteep = quantile(known, 1) > 8 * quantile(known, 0) && known.length === rows.length;
  draw(box, traces, layoutOf(box, {
    showlegend: true, margin: marginOf(box, { t: 60 }),
    xaxis: { title: { text: 'rank of the candidate, in the order of the table' }, ...thinned(scaleOf(rows.map(rankOf), 'log'), rows.map(rankOf), box) },
    yaxis: { title: { text: 'trainings of the candidate' }, ...(isSteep ? scaleOf(known, 'log') : { type: 'linear', rangemode: 'tozero' }) },
  }), onPick);
}

// ---- score distributions ------------------------------------------------------------------------------------

function rowsOfScores(data, ticked, show) {
  const n = show === 'ticked' ? 0 : show === 'all' ? data.names.length : Number(show);
  const rows = data.names.map((_, row) => row).filter((row) => row < n || ticked.has(row) || row === data.base);
  return rows.length ? rows : [0];
}

function drawScores(box, note, data, ticked, show, scale, onPick) {
  const rows = rowsOfScores(data, ticked, show), n = rows.length;
  const shownScores = rows.flatMap((row) => data.scores[row]), isLow = data.direction === 'minimize';
  if (leaveOut(box, note, !shownScores.some(isNumber), 'There is no finite score to draw.')) return;
  const pitch = n > 100 ? 13 : n > 40 ? 17 : 24;
  box.style.height = `${n * pitch + 120}px`;
  const traces = [];
  for (const role of ['gone', 'left', 'ticked', 'selected']) {
    const places = rows.map((row, place) => [row, place]).filter(([row]) => roleOf(data, ticked, row) === role);
    if (!places.length) continue;
    const tone = colour(role), boxed = places.filter(([row]) => isNumber(data.boxes.q1[row]));
    const of = (key) => boxed.map(([row]) => data.boxes[key][row]);
    if (boxed.length) {
      traces.push({
        type: 'box', orientation: 'h', y: boxed.map(([, place]) => place), q1: of('q1'), median: of('median'), q3: of('q3'),
        lowerfence: of('lower'), upperfence: of('upper'), width: 0.62, whiskerwidth: 0.4, name: ROLE_NAMES[role],
        line: { color: tone, width: role === 'selected' ? 2 : 1.2 }, fillcolor: withAlpha(tone, role === 'selected' ? 0.3 : 0.13),
        hoverinfo: 'skip', showlegend: false,
      });
    }
    const points = { x: [], y: [], at: [], text: [] };
    for (const [row, place] of places) {
      data.scores[row].forEach((score, replicate) => {
        if (!isNumber(score)) return;
        points.x.push(score); points.y.push(place + 0.22 * jitter(replicate)); points.at.push(row);
        points.text.push(`<b>${plain(cut(data.names[row], 60))}</b><br>replicate ${replicate}: ${shown(score, 6)}`);
      });
    }
    traces.push({ type: 'scatter', mode: 'markers', x: points.x, y: points.y, customdata: points.at, text: points.text, hoverinfo: 'text',
      name: ROLE_NAMES[role], showlegend: true, marker: { symbol: SYMBOLS[role], color: withAlpha(tone, 0.75), size: pitch > 14 ? 5 : 3.5 } });
  }
  const lost = rows.map((row, place) => [row, place]).filter(([row]) => data.unusable[row]);
  const annotations = lost.map(([row, place]) => ({
    x: 1, xref: 'paper', xanchor: 'right', y: place, yref: 'y', showarrow: false, bgcolor: colour('paper'), borderpad: 1,
    text: `✕ ${data.unusable[row]}`, font: { size: 11, color: colour('soft') },
  }));
  const label = (row) => `${nameOnAxis(data, row, box)}  <i>${data.instances[row]}</i>`;
  const range = scale === 'close' ? closeRange(data, rows, isLow) : null;
  if (range) annotations.push(...outside(data, rows, range));
  const layout = layoutOf(box, {
    annotations, showlegend: true,
    xaxis: { title: { text: `score (${better(isLow)})` }, ...(range ? { range } : thinned(scaleOf(shownScores, scale, isLow), shownScores, box)) },
    yaxis: { tickmode: 'array', tickvals: rows.map((_, place) => place), ticktext: rows.map(label), range: [n - 0.4, -0.6], ticks: '',
      tickfont: { size: n > 100 ? 9.5 : n > 40 ? 11 : 12, color: colour('ink') }, showgrid: false, fixedrange: n <= 40, title: { text: '' } },
    margin: marginOf(box, { l: 40 }), boxmode: 'overlay',
  });
  draw(box, traces, layout, onPick);
  const notes = range ? ['The scale shows the better half of the candidates; an arrow gives the median of one beyond it.'] : [];
  if (n < data.names.length) notes.push(`${plural(n, 'candidate')} of ${data.names.length.toLocaleString('en')} shown, in the order of the table: those kept longest first, the better first among them.`);
  note.textContent = notes.join(' ');
}

const nameOnAxis = (data, row, box) => `${row === data.base ? '★ ' : ''}${plain(cutMiddle(data.names[row], isWide(box) ? 44 : 17))}`;

// From whisker to whisker of the better half of the candidates, by their medians.
function closeRange(data, rows, isLow) {
  const { median, lower, upper } = data.boxes, known = rows.filter((row) => isNumber(median[row]));
  const middle = quantile(known.map((row) => median[row]), 0.5);
  const near = known.filter((row) => (isLow ? median[row] <= middle : median[row] >= middle) || row === 0);
  const low = quantile(near.map((row) => lower[row]), 0), high = quantile(near.map((row) => upper[row]), 1);
  const margin = 0.04 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

function outside(data, rows, [low, high]) {
  const found = [];
  rows.forEach((row, place) => {
    const median = data.boxes.median[row];
    if (!isNumber(median) || (median >= low && median <= high)) return;
    const isBelow = median < low;
    found.push({ x: isBelow ? 0 : 1, xref: 'paper', xanchor: isBelow ? 'left' : 'right', y: place, yref: 'y', showarrow: false,
      text: isBelow ? `◀ ${shown(median, 3)}` : `${shown(median, 3)} ▶`, bgcolor: colour('paper'), borderpad: 1, font: { size: 11, color: colour('soft') } });
  });
  return found;
}

// The same small shift for the same replicate of every candidate, spread evenly (golden ratio).
const jitter = (replicate) => 2 * ((replicate * 0.6180339887 + 0.5) % 1) - 1;

// ---- quality against spread ---------------------------------------------------------------------------------

function drawFront(box, note, data, ticked, scale, onPick) {
  const { front } = data;
  const drawable = data.names.map((_, row) => row).filter((row) => isNumber(front.means[row]) && isNumber(front.spreads[row]));
  if (leaveOut(box, note, !drawable.length, 'No candidate has a finite standard deviation.')) return;
  const kept = new Set(drawable.slice(0, MOST_POINTS));
  drawable.forEach((row) => { if (ticked.has(row) || front.isOnFront[row] || row === data.base) kept.add(row); });
  const rows = [...kept], low = data.direction === 'minimize', traces = [];
  const onFront = rows.filter((row) => front.isOnFront[row]).sort((a, b) => (low ? 1 : -1) * (front.means[a] - front.means[b]));
  if (onFront.length) {
    traces.push({ x: onFront.map((row) => front.means[row]), y: onFront.map((row) => front.spreads[row]), mode: 'lines+markers',
      name: 'Pareto front', line: { color: colour('front'), width: 2, shape: 'hv' }, hoverinfo: 'skip',
      marker: { symbol: 'circle-open', size: 15, color: colour('front'), line: { width: 2, color: colour('front') } } });
  }
  for (const role of ['gone', 'left', 'ticked', 'selected']) {
    const of = rows.filter((row) => roleOf(data, ticked, row) === role);
    if (!of.length) continue;
    const isThin = of.map((row) => !front.isCompared[row]);
    traces.push({ x: of.map((row) => front.means[row]), y: of.map((row) => front.spreads[row]), mode: 'markers', customdata: of,
      name: role === 'selected' ? `selected: ${plain(cut(data.names[0], 28))}` : ROLE_NAMES[role], hoverinfo: 'text',
      text: of.map((row) => `${hoverOf(data, row)}<br>mean ${shown(front.means[row])}, standard deviation ${shown(front.spreads[row], 3)}`),
      marker: { symbol: isThin.map((thin) => SYMBOLS[role] + (thin ? '-open' : '')), color: colour(role), size: role === 'selected' ? 13 : rows.length > 300 ? 5 : 8,
        opacity: role === 'gone' && rows.length > 100 ? 0.55 : 0.9, line: { width: 1.3, color: colour(role) } } });
  }
  if (data.base !== null && kept.has(data.base)) traces.push(baseStar(data, [front.means[data.base]], [front.spreads[data.base]]));
  const layout = layoutOf(box, {
    showlegend: true, margin: marginOf(box, { t: 60 }),
    xaxis: { title: { text: `mean score (${better(low)})` }, ...scaleOf(rows.map((row) => front.means[row]), scale, low, [front.means[0]]) },
    yaxis: { title: { text: 'standard deviation of the scores' }, ...frontHeights(rows, front, scale, low), rangemode: scale === 'log' ? undefined : 'tozero' },
  });
  draw(box, traces, layout, onPick);
  const notes = onFront.length ? [`On the front: ${onFront.slice(0, 12).map((row) => data.names[row]).join('; ')}${onFront.length > 12 ? `; and ${onFront.length - 12} more` : ''}.`] : [];
  if (scale === 'close') notes.unshift(CLOSE_NOTE);
  notes.push(`Compared are candidates with at least ${plural(front.minInstances, 'instance')}.`);
  const nNot = data.names.length - drawable.length;
  if (nNot) notes.push(`${plural(nNot, 'candidate')} cannot be drawn: fewer than two instances, or one diverged or failed.`);
  if (drawable.length > rows.length) notes.push(`${plural(drawable.length - rows.length, 'candidate')} of the worst are left out of the drawing.`);
  note.textContent = notes.join(' ');
}

function frontHeights(rows, front, scale, low) {
  if (scale === 'log') return rows.every((row) => front.spreads[row] > 0) ? { type: 'log', tickmode: 'array', ...logTicks(rows.map((row) => front.spreads[row])) } : { type: 'linear' };
  if (scale !== 'close') return { type: 'linear' };
  const middle = quantile(rows.map((row) => front.means[row]), 0.5);
  const near = rows.filter((row) => low === front.means[row] <= middle || front.means[row] === middle).map((row) => front.spreads[row]);
  return { type: 'linear', range: [0, 1.08 * (quantile([...near, front.spreads[0]].filter(isNumber), 1) || 1)] };
}
