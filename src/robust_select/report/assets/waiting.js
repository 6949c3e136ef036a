// Waits for the first training, then loads the page.

(() => {
  const says = document.getElementById('says');

  async function ask() {
    try {
      const update = await (await fetch('update', { cache: 'no-store' })).json();
      if (update.waiting === undefined) {
        location.reload();
        return;
      }
      if (says.textContent !== update.waiting) says.textContent = update.waiting;
    } catch {
      says.textContent = 'The server does not answer.';
    }
    setTimeout(ask, 2000);
  }

  Object.assign(document.documentElement.dataset, { state: 'ready', drawn: 'all' });
  setTimeout(ask, 500);
})();
