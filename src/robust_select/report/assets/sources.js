// Sources of randomness: what each random stream contributes, bars with intervals, one group a candidate.

const SOURCE_ROLES = ['left', 'selected', 'front', 'ticked'];

function drawSources(box, note, found) {
  const isShare = found.value === 'share', scale = isShare ? 100 : 1, unit = isShare ? ' %' : '', n = found.names.length;
  box.style.height = `${130 + n * (22 * found.series.length + 14)}px`;
  const digits = (value) => (isShare ? shown(Math.round(value)) : shown(value, 3));
  const traces = found.series.map((one, at) => {
    const tone = colour(SOURCE_ROLES[at % SOURCE_ROLES.length]), of = (values) => values.map((v) => (isNumber(v) ? scale * v : null));
    const values = of(one[found.value]), low = of(one.low), high = of(one.high), known = (ends) => values.map((v, row) => (v === null || ends[row] === null ? 0 : Math.abs(v - ends[row])));
    return { type: 'bar', orientation: 'h', name: one.name, x: values, y: found.names.map((_, row) => row),
      marker: { color: withAlpha(tone, 0.55), line: { color: tone, width: 1 } },
      error_x: { type: 'data', symmetric: false, array: known(high), arrayminus: known(low), color: colour('ink'), thickness: 1.3, width: 4 },
      hoverinfo: 'text', textposition: 'none',
      text: values.map((v, row) => `<b>${plain(cut(found.names[row], 60))}</b><br>${one.name}: ${v === null ? 'not known' : `${digits(v)}${unit}`}${low[row] === null ? '' : ` (${digits(low[row])} to ${digits(high[row])}${unit})`}`) };
  });
  const annotations = found.names.map((_, row) => row).filter((row) => traces.every(({ x }) => x[row] === null))
    .map((row) => ({ x: 0, y: row, xanchor: 'left', xshift: 6, showarrow: false, text: 'not known', font: { size: 12, color: colour('soft') } }));
  draw(box, traces, layoutOf(box, {
    annotations, showlegend: true, barmode: 'group', bargap: 0.22, margin: marginOf(box, { l: 40, t: isWide(box) ? 40 : 74 }),
    xaxis: { title: { text: isShare ? 'share of the variance (%)' : 'standard deviation of the scores' }, rangemode: 'tozero', ...(isShare ? { range: [0, 102] } : {}) },
    yaxis: { tickmode: 'array', tickvals: found.names.map((_, row) => row), ticktext: found.names.map((name) => plain(cutMiddle(name, isWide(box) ? 44 : 17))),
      range: [n - 0.5, -0.5], ticks: '', showgrid: false, fixedrange: true, title: { text: '' }, tickfont: { size: 12, color: colour('ink') } },
  }), () => {});
  note.textContent = `The thin lines are the intervals.${found.nLeftOut ? ` ${plural(found.nLeftOut, 'candidate')} more in the table below.` : ''}`;
}
