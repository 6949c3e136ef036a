// Score distributions: a box and every instance of the chosen candidates.

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
