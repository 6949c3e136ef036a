// Score against training time at the step of the slider: what it costs to keep whom.

function drawCost(box, note, data, ticked, scale, at, onPick) {
  const { path } = data, all = data.names.map((_, row) => row).filter((row) => isNumber(data.seconds[row]));
  const valueOf = (row) => path.values[row][lastIn(path, row, at)];
  if (leaveOut(box, note, !path.steps.length, 'No step has been decided yet.')) return;
  if (leaveOut(box, note, !all.length, 'No training time is known.')) return;
  if (leaveOut(box, note, !all.some((row) => isNumber(valueOf(row))), 'The criterion of every candidate is infinite.')) return;
  const drawable = all.filter((row) => isNumber(valueOf(row))), names = namesAt(data, at), traces = [], low = isBetterLow(data);
  const kept = new Set(drawable.slice(0, MOST_POINTS));
  drawable.forEach((row) => { if (ticked.has(row) || row === data.base) kept.add(row); });
  for (const role of ['gone', 'removed', 'left', 'ticked', 'selected']) {
    const of = [...kept].filter((row) => roleAt(data, ticked, row, at) === role);
    if (!of.length) continue;
    traces.push({ x: of.map((row) => data.seconds[row]), y: of.map(valueOf), customdata: of, mode: 'markers', name: names[role], hoverinfo: 'text',
      text: of.map((row) => `${hoverOf(data, row)}${atStep(path, row, lastIn(path, row, at), valueOf(row))}<br>a training takes ${duration(data.seconds[row])}`),
      marker: { symbol: SYMBOLS[role], color: colour(role), size: role === 'selected' ? 13 : kept.size > 300 ? 5 : 8, opacity: role === 'gone' ? 0.45 : 0.9,
        line: { width: role === 'removed' ? 2 : 0, color: colour(role) } } });
  }
  if (data.base !== null && kept.has(data.base)) traces.push(baseStar(data, [data.seconds[data.base]], [valueOf(data.base)]));
  const times = all.filter((row) => path.values[row].some(isNumber)).map((row) => data.seconds[row]), isLong = quantile(times, 0) > 0 && quantile(times, 1) / quantile(times, 0) > 8;
  const everything = path.values.flat(), across = scaleOf(times, isLong ? 'log' : 'all', true);
  draw(box, traces, layoutOf(box, {
    showlegend: true, margin: marginOf(box, { t: isWide(box) ? 60 : 92 }),
    xaxis: { title: { text: 'mean time of one training (seconds)' }, ...held(thinned(across, times, box), times) },
    yaxis: { title: { text: `${plain(data.criterion)} of the scores (${better(low)})` }, ...held(scaleOf(everything, scale, low, path.values[0]), everything) },
  }), onPick);
  const notes = scale === 'close' ? [CLOSE_NOTE] : [], nNot = data.names.length - drawable.length;
  notes.push('A candidate that was removed earlier stands at the value it had then.');
  if (nNot) notes.push(`${plural(nNot, 'candidate')} without a known time or a finite criterion cannot be drawn.`);
  if (drawable.length > kept.size) notes.push(`${plural(drawable.length - kept.size, 'candidate')} of the worst are left out of the drawing.`);
  note.textContent = notes.join(' ');
}

const duration = (seconds) => (seconds < 100 ? `${shown(seconds, 3)} s` : seconds < 6000 ? `${shown(seconds / 60, 3)} min` : `${shown(seconds / 3600, 3)} h`);
