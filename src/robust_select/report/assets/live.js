// The live view: asks the server what is new, shows it without losing what the reader has chosen.

const ASK_EVERY_MS = 2000;

function watchStudy(version, onUpdate) {
  const says = document.getElementById('live-says'), dot = document.getElementById('live');
  const say = (state, text) => { dot.dataset.state = state; if (says.textContent !== text) says.textContent = text; };
  let known = version;

  async function ask() {
    try {
      const answer = await fetch('update', { headers: { 'If-None-Match': `"${known}"` }, cache: 'no-store' });
      if (answer.status === 200) {
        const update = await answer.json();
        known = update.version;
        if (update.waiting !== undefined) {
          say('lost', update.waiting);
        } else {
          onUpdate(update);
          tell(update.data, update.isFinished);
        }
      } else if (dot.dataset.state === 'lost') {
        say('running', 'Live again.');
      }
    } catch {
      say('lost', 'The server does not answer: this is what it said last.');
    }
    setTimeout(ask, ASK_EVERY_MS);
  }

  function tell(data, isFinished) {
    const n = data.nTrainings;
    say(isFinished ? 'finished' : 'running', `${isFinished ? 'The study is finished' : 'Live'}: ${plural(n, 'training')}.`);
  }

  const first = JSON.parse(document.getElementById('page-data').textContent);
  tell(first, first.isFinished);
  setTimeout(ask, ASK_EVERY_MS);
}
