// The instances of one candidate: a histogram of their scores with the six criteria, and their curves over the epochs.

// Keeps the candidate that the reader chose, by its name; the selected one to begin with.
function offerCandidates(select, names) {
  const chosen = select.selectedOptions[0]?.title;
  select.replaceChildren(...names.map((name, row) => {
    const option = new Option(cutMiddle(name, 60), String(row));
    option.title = name;
    return option;
  }));
  select.value = String(Math.max(0, names.indexOf(chosen)));
}

function drawHistogram(box, note, data, row) {
  const bins = data.bins[row], points = data.scores[row].map((score, replicate) => [score, replicate]).filter(([score]) => isNumber(score));
  const nBad = data.unusable[row], low = data.direction === 'minimize', about = [];
  if (leaveOut(box, note, !points.length, 'No instance has a finite score.')) return;
  const traces = [], top = bins ? Math.max(...bins.counts) : 1;
  if (bins) {
    const [first, last] = bins.ends, width = (last - first) / bins.counts.length, x = bins.counts.map((_, at) => first + (at + 0.5) * width);
    traces.push({ type: 'bar', x, y: bins.counts, width, showlegend: false, hoverinfo: 'text', textposition: 'none',
      text: bins.counts.map((count, at) => `${plural(count, 'instance')}<br>from ${shown(first + at * width)} to ${shown(first + (at + 1) * width)}`),
      marker: { color: withAlpha(colour('left'), 0.35), line: { color: colour('left'), width: 1 } } });
  }
  traces.push({ x: points.map(([score]) => score), y: points.map(() => -0.05 * top), mode: 'markers', showlegend: false, hoverinfo: 'text', cliponaxis: false,
    text: points.map(([score, replicate]) => `replicate ${replicate}: ${shown(score, 6)}`),
    marker: { symbol: 'line-ns-open', size: 9, color: colour('ink'), opacity: points.length > 100 ? 0.4 : 0.8, line: { width: 1.2 } } });
  const infinite = [], across = [...points.map(([score]) => score), ...(bins?.ends ?? [])];
  PUBLISHED.forEach((name, k) => {
    const value = data.criteria[name][row];
    if (!isNumber(value)) { if (value !== null) infinite.push(name); return; }
    across.push(value);
    traces.push({ x: [value, value], y: [0, 1.04 * top], mode: 'lines', name: `${name} ${shown(value)}`, hoverinfo: 'name',
      line: { color: colour(LINE_ROLES[k]), dash: DASHES[k], width: 2 } });
  });
  const layout = layoutOf(box, {
    showlegend: true, bargap: 0, margin: marginOf(box, { t: 76 }),
    xaxis: { title: { text: `score (${better(low)})` }, nticks: isWide(box) ? 10 : 5, ...held({ type: 'linear' }, across) },
    yaxis: { title: { text: bins ? 'instances' : '' }, range: [-0.1 * top, 1.08 * top], ...(bins ? countTicks(top) : { showticklabels: false, ticks: '', showgrid: false }) },
  });
  layout.legend.font.size = 11.5;
  draw(box, traces, layout, () => {});
  if (!bins) about.push(points.length < 5 ? 'Too few instances for a histogram: each is a stroke.' : 'All scores are equal: there is no histogram.');
  about.push(`${plural(data.instances[row], 'instance')}${nBad ? `, ${nBad} of them diverged or failed and in no bar` : ''}.`);
  if (infinite.length) about.push(`Infinite by that, and not drawn: ${infinite.join(', ')}.`);
  note.textContent = about.join(' ');
}

// Whole numbers, none below the axis where the strokes are.
function countTicks(top) {
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((step) => top / step <= 6) ?? 1000, tickvals = [];
  for (let tick = 0; tick <= top; tick += every) tickvals.push(tick);
  return { tickmode: 'array', tickvals };
}

function drawCurves(section, box, note, data, row) {
  section.hidden = !data.curves;
  if (!data.curves) return;
  const { epochs } = data.curves, found = data.curves.of[row], low = data.direction === 'minimize';
  if (leaveOut(box, note, found === null, 'No curve of this candidate is on the page.')) return;
  const x = [], y = [], traces = [], tone = colour('selected'), n = found.nCurves;
  for (const curve of found.curves ?? []) { x.push(...epochs, null); y.push(...curve, null); }
  const band = (key, more) => ({ x: epochs, y: found[key], mode: 'lines', line: { width: 0 }, hoverinfo: 'skip', ...more });
  if (x.length) traces.push({ x, y, mode: 'lines', name: plural(n, 'instance'), hoverinfo: 'skip', line: { color: withAlpha(colour('gone'), Math.min(0.6, Math.max(0.15, 12 / n))), width: 1 } });
  traces.push(band('q1', { showlegend: false }), band('q3', { name: 'middle half', fill: 'tonexty', fillcolor: withAlpha(tone, 0.22) }));
  traces.push({ x: epochs, y: found.median, mode: 'lines', name: 'median', line: { color: tone, width: 2.6 }, hoverinfo: 'text',
    text: found.median.map((value, at) => `epoch ${epochs[at]}: median ${shown(value)}`) });
  const known = [...y, ...found.q1, ...found.q3].filter(isNumber), isLong = known.every((value) => value > 0) && quantile(known, 1) > 8 * quantile(known, 0);
  const layout = layoutOf(box, {
    showlegend: true, margin: marginOf(box, { t: 40 }),
    xaxis: { title: { text: 'epoch' }, range: [epochs[0] - 0.01 * epochs.length, epochs.at(-1) + 0.01 * epochs.length], ...(epochs.length < 8 ? { dtick: 1 } : {}) },
    yaxis: { title: { text: `score (${better(low)})` }, ...(isLong ? scaleOf(known, 'log') : { type: 'linear' }) },
  });
  layout.legend.traceorder = 'normal';
  draw(box, traces, layout, () => {});
  const notes = [];
  if (!found.curves) notes.push(`The ${plural(n, 'curve')} behind the median are left out, so that the page stays small.`);
  if (found.nBroken) notes.push(`${plural(found.nBroken, 'curve')} with gaps, or without a finite score.`);
  if (epochs.length < epochs.at(-1)) notes.push(`Drawn are ${epochs.length} of ${epochs.at(-1).toLocaleString('en')} epochs.`);
  note.textContent = notes.join(' ');
}
