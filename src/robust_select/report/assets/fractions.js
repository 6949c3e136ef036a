// Which fraction of the candidates has a criterion at least so good, for the six published criteria.

const PUBLISHED = ['min', 'median', 'mean', 'q3', 'q3+iqr', 'max'];
const LINE_ROLES = ['left', 'selected', 'front', 'ticked', 'base', 'most'];
const DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash', 'longdashdot'];

const finiteCriteria = (data) => PUBLISHED.flatMap((name) => data.criteria[name]).filter(isNumber);

function drawFractions(section, box, note, data, scale) {
  const n = data.names.length, low = data.direction === 'minimize', everything = finiteCriteria(data);
  section.hidden = n < 2;
  if (section.hidden || leaveOut(box, note, !everything.length, 'No candidate has a finite criterion.')) return;
  const traces = PUBLISHED.map((name, k) => {
    const known = data.criteria[name].filter((value) => value !== null), all = known.length;
    const sorted = known.filter(isNumber).sort((a, b) => (low ? a - b : b - a)), x = [sorted[0], ...sorted];
    const y = [0, ...sorted.map((_, at) => (at + 1) / all)];
    return { x, y, mode: 'lines', name, line: { shape: 'hv', color: colour(LINE_ROLES[k]), dash: DASHES[k], width: 2 }, hoverinfo: 'text',
      text: x.map((value, at) => `${plain(name)} ${low ? 'at most' : 'at least'} ${shown(value)}: ${at.toLocaleString('en')} of ${plural(all, 'candidate')}`) };
  }).filter(({ x }) => x.length > 1);
  const axis = held(thinned(scaleOf(everything, scale, low), everything, box), everything);
  draw(box, traces, layoutOf(box, {
    showlegend: true, margin: marginOf(box, { t: isWide(box) ? 40 : 74 }),
    xaxis: { title: { text: `score (${better(low)})` }, ...axis },
    yaxis: { title: { text: `fraction of ${plural(n, 'candidate')}` }, range: [0, 1.03], tickformat: '.0%' },
  }), () => {});
  const notes = scale === 'close' ? [CLOSE_NOTE] : [], counts = data.instances;
  if (n < data.nCandidates) notes.push('Of the candidates that the page shows one by one.');
  if (counts.some((count) => count !== counts[0])) notes.push('Candidates discarded early rest on few instances and have the more extreme values by luck.');
  if (data.unusable.some((count) => count)) notes.push('A criterion that a diverged or failed instance makes infinite counts, and is never reached.');
  note.textContent = notes.join(' ');
}
