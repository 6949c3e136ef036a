// How often each candidate was trained: bars, or a staircase where they are many.

const MOST_BARS = 60;

function drawTrainings(box, note, data, ticked, onPick) {
  const counts = data.instances, n = counts.length, total = counts.reduce((sum, count) => sum + count, 0);
  if (leaveOut(box, note, !total, 'Nothing has been trained yet.')) return;
  if (n <= MOST_BARS) drawBars(box, data, ticked, onPick); else drawStairs(box, data, ticked, onPick);
  let nHalf = 0;
  for (let sum = 0; 2 * sum < total; nHalf += 1) sum += counts[nHalf];
  const who = nHalf === 1 ? 'the first candidate' : `the first ${nHalf.toLocaleString('en')} candidates`;
  const ofShown = n < data.nCandidates ? ' of the candidates shown one by one' : '';
  note.textContent = n === 1 ? '' : `${plural(total, 'training')}${ofShown}; half of them went to ${who} of ${n.toLocaleString('en')}.`;
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
