// Rank stability: how the ranking after each epoch agrees with the last one.

function drawStability(box, note, says, found) {
  says.textContent = found.verdict ?? '';
  if (leaveOut(box, note, found.problem !== undefined, `Not known: ${found.problem}.`)) return;
  const epochs = found.tauMean.map((_, epoch) => epoch + 1), tone = colour('left'), x = [], y = [];
  for (const tau of found.tau) { x.push(...epochs, null); y.push(...tau, null); }
  const line = (values, name, role, dash, unit) => ({ x: epochs, y: values, mode: 'lines', name, line: { color: colour(role), width: 2.4, dash }, hoverinfo: 'text',
    text: values.map((value, epoch) => `epoch ${epoch + 1}: ${unit} ${shown(value, 3)}`) });
  draw(box, [
    { x, y, mode: 'lines', name: 'tau of one replicate', hoverinfo: 'skip', line: { color: withAlpha(tone, Math.max(0.25, 0.6 / Math.sqrt(found.tau.length))), width: 1 } },
    line(found.tauMean, 'mean tau', 'left', 'solid', 'mean tau'),
    line(found.overlapMean, `share of the top ${found.nTop} that stays`, 'front', 'dash', 'share'),
    line(found.lost, 'halving from here loses the best', 'selected', 'dot', 'probability'),
  ], layoutOf(box, {
    showlegend: true, margin: marginOf(box, { t: isWide(box) ? 60 : 110 }),
    xaxis: { title: { text: 'epoch' }, range: [1 - 0.01 * epochs.length, 1.01 * epochs.length] },
    yaxis: { title: { text: 'tau, share, probability' }, range: [Math.min(-0.05, 1.05 * Math.min(...found.tau.flat())), 1.05] },
  }), () => {});
  const other = found.best === found.selected ? '' : ` By these alone ${found.best} is the best; the selection rests on more.`;
  note.textContent = `${plural(found.nReplicates, 'replicate')} in which every candidate was trained.${found.nUnused ? ` ${plural(found.nUnused, 'instance')} with a curve ${found.nUnused === 1 ? 'was' : 'were'} never asked for by the rule; they count here all the same.` : ''}${other}`;
}
