// Mean against spread, with the Pareto front.

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
  const means = rows.map((row) => front.means[row]);
  const layout = layoutOf(box, {
    showlegend: true, margin: marginOf(box, { t: 60 }),
    xaxis: { title: { text: `mean score (${better(low)})` }, ...thinned(scaleOf(means, scale, low, [front.means[0]]), means, box) },
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
